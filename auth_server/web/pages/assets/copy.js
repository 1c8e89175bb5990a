// Shows the copy buttons, which need a script. Everything else on the page works without.
"use strict";

for (const button of document.querySelectorAll("button[data-copies]")) {
  const source = document.getElementById(button.dataset.copies);
  const label = button.querySelector("[data-label]");
  const rest = label.textContent;
  let timer = 0;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      label.textContent = "Copied";
    } catch {
      // No clipboard here (plain http, or not allowed): the text is marked, the keyboard copies it.
      getSelection().selectAllChildren(source);
      label.textContent = "Selected: press Ctrl+C";
    }
    clearTimeout(timer);
    timer = setTimeout(() => { label.textContent = rest; }, 4000);
  });
}
