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

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

function setTheme(theme) {
  showTheme(theme);
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // Then it holds for this visit.
  }
}

// Not stored again: a page may see what was chosen in another one late.
showTheme(rememberedTheme());
