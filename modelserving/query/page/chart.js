// A chart that is as wide as its place, with two lines: the first solid, the second dashed.

import { tick } from "./format.js";
import { axis, colour, onColoursChanged } from "./theme.js";

const HEIGHT = 200;
/** Above the highest value, as a part of it: labels stand there. */
const HEADROOM = 0.3;

export class Chart {
  #host;
  #readout;
  #options;
  #read;
  #drawn;
  #plot = null;
  #columns = null;

  /**
   * @param {string} id of the place; what is under the pointer is told beside it, in `…-readout`
   * @param {object} options
   * @param {object} options.x uPlot's scale of the first column
   * @param {(u: object, splits: number[]) => string[]} options.xLabels
   * @param {object} options.lines what is the same for both lines
   * @param {object} options.first what only the first line has
   * @param {(row: number[]) => string} options.read says a row in words
   * @param {(plot: object) => void} options.drawn is called after each drawing
   */
  constructor(id, { x, xLabels, lines = {}, first = {}, read, drawn = () => {} }) {
    this.#host = document.getElementById(`${id}-chart`);
    this.#readout = document.getElementById(`${id}-readout`);
    this.#read = read;
    this.#drawn = drawn;
    this.#options = {
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { x, y: { range: (plot, low, high) => [0, high > 0 ? uPlot.rangeNum(0, high, HEADROOM, true)[1] : 1] } },
      axes: [axis({ size: 28, values: xLabels }), axis({ size: 56, values: (plot, splits) => splits.map(tick) })],
      series: [
        {},
        { stroke: () => colour("--first"), width: 2, ...lines, ...first },
        { stroke: () => colour("--second"), width: 2, dash: [6, 4], ...lines },
      ],
      hooks: { setCursor: [() => this.#tell()], draw: [(plot) => this.#drawn(plot)] },
    };
    new ResizeObserver(() => this.#fit()).observe(this.#host);
    onColoursChanged(() => this.#plot?.redraw(false));
  }

  /**
   * @param {Array<Array<number | null>>} columns the x, and the two lines
   * @param {string} words what the chart shows
   */
  show(columns, words) {
    this.#columns = columns;
    if (this.#host.ariaLabel !== words) this.#host.ariaLabel = words;
    if (this.#plot) this.#plot.setData(columns);
    else this.#fit();
  }

  /** Nothing is drawn while the place is hidden. */
  #fit() {
    const width = this.#host.clientWidth;
    if (width === 0 || !this.#columns) return;
    if (this.#plot) this.#plot.setSize({ width, height: HEIGHT });
    else this.#plot = new uPlot({ ...this.#options, width }, this.#columns, this.#host);
  }

  #tell() {
    const at = this.#plot?.cursor.idx;
    const row = at == null ? null : this.#columns.map((column) => column[at]);
    this.#readout.textContent = row ? this.#read(row) : "";
  }
}
