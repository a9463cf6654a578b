"""What forward() returns, and what is made of it."""
