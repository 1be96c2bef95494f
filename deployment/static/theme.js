// Runs before the page is painted, so that it never flashes in the wrong colors.
// Without a choice of the reader's, the system's colors hold (style.css: prefers-color-scheme).
try {
  const chosen = localStorage.getItem("storyteller.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be switched off; then nothing is remembered.
}
