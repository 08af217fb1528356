// Runs before the first paint, so that a dark page never flashes white and the language is known to the browser.
// A file of its own, because the content security policy allows no inline script.
(() => {
  let scheme = null;
  let language = null;
  try {
    scheme = localStorage.getItem("repack.theme");
    language = localStorage.getItem("repack.language");
  } catch {
    // Storage may be forbidden; the system's choice is used then.
  }
  if (scheme !== "light" && scheme !== "dark") {
    scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  const root = document.documentElement;
  root.setAttribute("data-mantine-color-scheme", scheme);
  root.lang = language ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en");
})();
