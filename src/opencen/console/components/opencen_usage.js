// Rates over time, against a limit, with what the limit dropped below: one scale of time, live at its right edge.
// Columns are arrays of numbers, null where nothing was metered. Everything is text: nothing here is parsed as HTML.
import { echarts } from "nicegui-echart";

const MOST_ROWS = 48;
const UNITS = [[1e9, "Gbit/s"], [1e6, "Mbit/s"], [1e3, "kbit/s"], [1, "bit/s"]];

function rate(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const [factor, unit] = UNITS.find(([size]) => Math.abs(value) >= size) || UNITS[3];
  return `${Number((value / factor).toPrecision(3))} ${unit}`;
}

export default {
  template: `
    <div>
      <div class="oc-chart-box">
        <div ref="canvas" class="oc-chart" role="img" :aria-label="label + '. ' + (told || summary)" data-chart></div>
        <p v-if="!known" class="oc-chart-none">{{ words.empty }}</p>
      </div>
      <details class="oc-chart-table" @toggle="open = $event.target.open">
        <summary>{{ words.table }}</summary>
        <div v-if="open" class="oc-table-box" tabindex="0" role="region" :aria-label="words.table">
          <table class="oc-table">
            <caption class="oc-sr">{{ label }}</caption>
            <thead><tr>
              <th scope="col">{{ words.time }}</th>
              <th v-for="one in series" :key="one.k" scope="col" class="is-number">{{ one.t }}</th>
            </tr></thead>
            <tbody>
              <tr v-for="row in table()" :key="row.at">
                <th scope="row">{{ row.text }}</th>
                <td v-for="(cell, index) in row.cells" :key="index" class="is-number">{{ cell }}</td>
              </tr>
            </tbody>
          </table>
        </div>
      </details>
    </div>`,
  props: { label: String, words: Object, series: Array, points: Object, summary: String },
  data() {
    return { open: false, known: true, version: 0, told: "" };
  },
  async mounted() {
    await new Promise((resolve) => setTimeout(resolve, 0)); // until styles are there
    this.shown = { from: this.points.from, step: this.points.step, columns: { ...this.points.columns } };
    this.chart = echarts.init(this.$refs.canvas, null, { renderer: "canvas" });
    this.sizes = new ResizeObserver(() => this.chart.resize());
    this.sizes.observe(this.$refs.canvas);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.draw();
  },
  beforeUnmount() {
    this.sizes?.disconnect();
    this.themes?.disconnect();
    this.chart?.dispose();
  },
  methods: {
    // news: the first `shift` points have left; from place `start` on the columns are `tails`
    patch(news, summary) {
      if (!this.chart) return;
      this.told = summary;
      const began = performance.now();
      for (const [name, tail] of Object.entries(news.tails))
        this.shown.columns[name] = this.shown.columns[name].slice(news.shift, news.shift + news.start).concat(tail);
      this.shown.from = news.from;
      this.chart.setOption({ ...this.range(), series: this.lines() }, { lazyUpdate: false });
      this.look();
      window.opencenChartMs = performance.now() - began;
    },
    replace(points, summary) {
      if (!this.chart) return;
      this.told = summary;
      this.shown = points;
      this.draw();
    },
    look() {
      this.known = this.series.some((one) => one.kind !== "limit" && this.shown.columns[one.k].some((v) => v !== null));
      this.version += 1;
    },
    at(place) {
      return this.shown.from + place * this.shown.step;
    },
    range() {
      const count = this.shown.columns[this.series[0].k].length;
      const axis = { min: this.shown.from, max: this.at(count) };
      return { xAxis: this.hasBars() ? [axis, axis] : [axis] };
    },
    hasBars() {
      return this.series.some((one) => one.kind === "bar");
    },
    colour(name) {
      return getComputedStyle(document.body).getPropertyValue(name).trim();
    },
    lines() {
      return this.series.map((one) => {
        const data = this.shown.columns[one.k].map((value, place) => [this.at(place), value]);
        const colour = this.colour(one.c);
        const line = { id: one.k, name: one.t, data, color: colour, animation: false };
        if (one.kind === "bar") {
          return { ...line, type: "bar", xAxisIndex: 1, yAxisIndex: 1, stack: "drops", large: true, barMaxWidth: 8 };
        }
        const style = { width: { limit: 1.5, thin: 1 }[one.kind] || 1.6, type: one.kind === "limit" ? [6, 4] : "solid" };
        return {
          ...line, type: "line", showSymbol: false, connectNulls: false, sampling: "max", step: one.kind === "limit" && "start",
          lineStyle: { ...style, color: colour, opacity: one.kind === "thin" ? 0.5 : 1 },
          z: one.kind === "limit" ? 5 : 2,
          stack: one.kind === "stack" ? "all" : undefined,
          areaStyle: one.kind === "stack" ? { opacity: 0.55, color: colour } : undefined,
          emphasis: { disabled: true },
        };
      });
    },
    draw() {
      const ink = this.colour("--oc-muted"), rule = this.colour("--oc-line");
      const text = { color: ink, fontFamily: this.colour("--oc-font") || "sans-serif", fontSize: 12 };
      const bars = this.hasBars();
      const time = { type: "time", axisLine: { lineStyle: { color: rule } }, axisLabel: { ...text, hideOverlap: true },
        axisTick: { lineStyle: { color: rule } }, splitLine: { show: false } };
      const value = { type: "value", min: 0, max: (seen) => seen.max > 0 ? seen.max * 1.12 : null,
         splitLine: { lineStyle: { color: rule } } };
      const names = { nameTextStyle: { ...text, align: "left" }, nameLocation: "end", nameGap: 12 };
      const range = this.range();
      const surface = this.colour("--oc-surface");
      this.chart.setOption({
        animation: false,
        legend: { data: this.series.filter((one) => !["thin", "bar"].includes(one.kind)).map((one) => one.t), top: 0, left: 0, itemWidth: 18, itemHeight: 8, icon: "roundRect", textStyle: text, type: "scroll",
          pageTextStyle: text, pageIconColor: ink },
        grid: bars ? [{ left: 84, right: 20, top: 58, bottom: 150 }, { left: 84, right: 20, height: 70, bottom: 30 }]
          : [{ left: 84, right: 20, top: 58, bottom: 30 }],
        xAxis: bars ? [{ ...time, ...range.xAxis[0], gridIndex: 0 }, { ...time, ...range.xAxis[1], gridIndex: 1 }]
          : [{ ...time, ...range.xAxis[0] }],
        yAxis: [
          { ...value, ...names, name: this.words.rate, axisLabel: { ...text, formatter: rate, showMaxLabel: false } },
          ...(bars ? [{ ...value, ...names, name: this.words.drops, gridIndex: 1, minInterval: 1, splitNumber: 2,
            axisLabel: { ...text, showMaxLabel: false } }] : []),
        ],
        axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: ink } },
        tooltip: { trigger: "axis", renderMode: "richText", backgroundColor: surface, borderColor: rule,
          textStyle: { ...text, color: this.colour("--oc-ink") }, confine: true,
          formatter: (items) => this.tip(items) },
        dataZoom: [{ type: "inside", xAxisIndex: bars ? [0, 1] : [0], zoomOnMouseWheel: "ctrl", moveOnMouseMove: true }],
        series: this.lines(),
      }, { notMerge: true });
      this.look();
    },
    tip(items) {
      const at = echarts.time.format(items[0].axisValue, "{yyyy}-{MM}-{dd} {HH}:{mm}:{ss}", false);
      const place = Math.round((items[0].axisValue - this.shown.from) / this.shown.step);
      const rows = this.series
        .map((one) => [one.t, this.shown.columns[one.k][place], one.kind])
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value, kind]) => `${name}  ${kind === "bar" ? value : rate(value)}`);
      return [at, ...rows].join("\n");
    },
    table() {
      if (this.version < 0 || !this.shown) return [];
      const count = this.shown.columns[this.series[0].k].length;
      const size = Math.ceil(count / MOST_ROWS);
      const rows = [];
      for (let end = count; end > 0; end -= size) {
        const start = Math.max(end - size, 0);
        const cells = this.series.map((one) => {
          const values = this.shown.columns[one.k].slice(start, end).filter((v) => v !== null);
          if (!values.length) return "–";
          const sum = values.reduce((total, v) => total + v, 0);
          if (one.kind === "bar") return String(sum);
          return rate(one.kind === "thin" ? Math.max(...values) : sum / values.length);
        });
        const at = this.at(start);
        rows.push({ at, text: echarts.time.format(at, "{yyyy}-{MM}-{dd} {HH}:{mm}:{ss}", false), cells });
      }
      return rows;
    },
  },
};
