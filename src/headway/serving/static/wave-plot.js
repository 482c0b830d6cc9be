// A few columns of a matrix as curves over its rows: the waves of the position encoding.

import { Chart, shortNumber } from "./chart.js";
import { fill, make, slider } from "./dom.js";

const CURVES = ["accent", "warm", "muted"];

export class WavePlot {
  constructor(rows, columnName, rowName) {
    this.rows = rows;
    this.columns = rows[0].length;
    this.columnName = columnName;
    this.chart = new Chart({
      title: `By ${rowName}`,
      unit: rowName,
      show: shortNumber,
      onPoint: (at) => this.chart.readAt(at),
    });
    // In a wide table neighbours are alike: curves some columns apart show how the waves grow longer.
    this.apart = this.columns >= 32 ? 8 : 1;
    const most = Math.max(0, this.columns - this.apart * (CURVES.length - 1) - 1);
    this.first = Math.min(most, this.columns >> 3);
    const choose = slider(
      "wave-column",
      `From ${columnName}`,
      { min: 0, max: most, step: 1 },
      this.first,
      String,
      (value) => {
        this.first = value;
        this.update();
      },
    );
    this.element = fill(make("section", { class: "card waves" }), choose, this.chart.element);
    this.update();
  }

  update() {
    const series = CURVES.slice(0, this.columns).map((colour, index) => {
      const column = this.first + index * this.apart;
      return {
        name: `${this.columnName} ${column}`,
        colour,
        points: this.rows.map((row, at) => [at, row[column]]),
      };
    });
    this.chart.set(series);
  }

  redraw() {
    this.chart.redraw();
  }

  close() {
    this.chart.close();
  }
}
