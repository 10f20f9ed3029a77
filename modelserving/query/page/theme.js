// Colours of what is drawn on a canvas: the style sheet's, light or dark.

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Call `redraw` when the colours have changed. */
export function onColoursChanged(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

export const axis = (more) => ({
  stroke: () => colour("--soft-ink"),
  grid: { stroke: () => colour("--line"), width: 1 },
  ticks: { stroke: () => colour("--line"), width: 1, size: 4 },
  font: "12px system-ui, sans-serif",
  ...more,
});
