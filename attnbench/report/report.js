// Rows open their details; commands are copied.
(() => {
  for (const below of document.querySelectorAll("#table tr.opened")) {
    const row = below.previousElementSibling;
    const heading = row.cells[0];
    heading.tabIndex = 0;
    heading.setAttribute("aria-expanded", "false");
    const toggle = () => {
      below.hidden = !below.hidden;
      heading.setAttribute("aria-expanded", String(!below.hidden));
    };
    row.addEventListener("click", (event) => { if (!event.target.closest("a")) toggle(); });
    heading.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle();
    });
  }

  const select = (code) => {
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  };
  for (const button of document.querySelectorAll(".command button")) {
    const code = button.previousElementSibling;
    button.addEventListener("click", async () => {
      select(code);
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        if (!document.execCommand("copy")) return; // the command is selected, for the keyboard
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
})();
