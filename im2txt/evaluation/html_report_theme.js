"use strict";
// Light, dark, or as the system is. Runs before anything is drawn.

const THEME_KEY = "im2txt-report-theme";

/** What was chosen in an earlier visit; some browsers forbid to remember. */
function rememberedTheme() {
  try {
    return localStorage.getItem(THEME_KEY) ?? "system";
  } catch {
    return "system";
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // Then it holds for this visit.
  }
}

setTheme(rememberedTheme());
