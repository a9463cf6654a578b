// On a phone a table of many columns becomes a card for each row (etseg.css); a card's lines need the
// names of the columns.
for (const table of document.querySelectorAll("article table.docutils")) {
  const names = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
  table.classList.toggle("many", names.length > 5);
  if (names.length < 3) continue;
  table.classList.add("stacks");
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].forEach((cell, column) => {
      cell.dataset.column = names[column];
      cell.classList.toggle("nothing", !cell.textContent.trim());
    });
  }
}

// Code that is wider than the window scrolls by the keyboard too.
for (const code of document.querySelectorAll("div.highlight pre")) code.tabIndex = 0;
