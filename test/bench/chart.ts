/**
 * A run as a picture: a panel a workload with a bar a peer, or a panel a curve with a line a peer.
 *
 * Each panel has a scale of its own from 0, so that the length of a bar is what it stands for; together they would need
 * one from 0.4 to 4,000.
 */
import { BarChart, LineChart } from "echarts/charts"
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components"
import { type EChartsCoreOption, init, use } from "echarts/core"
import { SVGRenderer } from "echarts/renderers"
import { chiefOf, figures } from "./figures.js"
import { ours } from "./peer.js"
import { number, type Report, type Result, titleOf } from "./report.js"

use([BarChart, GridComponent, LegendComponent, LineChart, SVGRenderer, TitleComponent])

/** Of a light page, each with what stands for it on a dark one. */
const ink = { paper: "#ffffff", text: "#1f2328", quiet: "#656d76", line: "#d8dee4" } as const
const darkInk: typeof ink | { readonly [name in keyof typeof ink]: string } = {
  paper: "#0d1117",
  text: "#e6edf3",
  quiet: "#8d96a0",
  line: "#30363d"
}

const colourOf = ({ peers }: Report, name: string) => peers.find((peer) => peer.name === name)?.colour

const width = 960
const columns = 3
const margin = 24
const top = 92
const labels = 104
const panelWidth = (width - 2 * margin) / columns
const font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"

const titles = (report: Report, text: string, hint: string) => ({
  text,
  subtext: [
    [...new Set(report.peers.flatMap(({ versions }) => versions))].join(" · "),
    `${report.machine.processor}, ${report.machine.cores} cores, ${report.machine.kernel} · ${report.date}${hint}`
  ].join("\n"),
  left: margin,
  top: 20,
  padding: 0,
  textStyle: { color: ink.text, fontSize: 18, fontWeight: "bold" },
  subtextStyle: { color: ink.quiet, fontSize: 11, lineHeight: 16 }
})

const panelTitle = (text: string, left: number, at: number) => ({
  text,
  left,
  top: at,
  padding: 0,
  textStyle: { color: ink.text, fontSize: 13, fontWeight: "bold" }
})

const place = (i: number, height: number) => ({
  left: margin + (i % columns) * panelWidth,
  top: top + Math.floor(i / columns) * height
})

/** Peers by what they cost in the first workload, the cheapest above. */
const ranked = (report: Report, first: Result | undefined): ReadonlyArray<string> => {
  const cost = (name: string): number => first?.outcomes.get(name)?.cpu?.median ?? Number.POSITIVE_INFINITY
  return report.peers.map(({ name }) => name).sort((one, other) => cost(one) - cost(other))
}

/**
 * Where a panel's scale ends: at the most expensive, unless that is so far beyond the next that the others could not be
 * told apart. It is cut then, and its figure states by how much.
 */
const endOf = (costs: ReadonlyArray<number>): number => {
  const [most = 1, next = most] = [...costs].sort((one, other) => other - one)
  return Math.min(most, 2.5 * next)
}

const bars = (report: Report, results: ReadonlyArray<Result>): readonly [EChartsCoreOption, number] => {
  const names = ranked(report, results[0])
  const barsHeight = names.length * 19
  const panelHeight = barsHeight + 44
  const places = results.map((_, i) => place(i, panelHeight))
  const costs = results.map(
    (result) =>
      new Map(
        names.flatMap((name) => {
          const figure = chiefOf(result.outcomes)
          const cost = figure && result.outcomes.get(name)?.[figure]?.median
          return cost === undefined ? [] : [[name, cost] as const]
        })
      )
  )
  const ends = costs.map((each) => endOf([...each.values()]))
  const option = {
    title: [
      titles(report, "Server CPU time, µs a request (lower is better)", " · » a bar that is cut"),
      ...results.map((result, i) =>
        panelTitle(
          `${result.title}${figures[chiefOf(result.outcomes) ?? "cpu"].of}`,
          places[i]?.left ?? 0,
          places[i]?.top ?? 0
        )
      )
    ],
    grid: places.map((at) => ({
      left: at.left + labels,
      top: at.top + 20,
      width: panelWidth - labels - 64,
      height: barsHeight
    })),
    xAxis: results.map((_, i) => ({ gridIndex: i, type: "value", show: false, min: 0, max: ends[i] })),
    yAxis: results.map((_, i) => ({
      gridIndex: i,
      type: "category",
      inverse: true,
      data: names.map((name) => titleOf(report, name)),
      axisLine: { lineStyle: { color: ink.line } },
      axisTick: { show: false },
      axisLabel: { color: ink.quiet, fontSize: 11, margin: 6 }
    })),
    series: results.map((_, i) => ({
      type: "bar",
      xAxisIndex: i,
      yAxisIndex: i,
      barWidth: 13,
      data: names.map((name) => {
        const end = ends[i] ?? 0
        const cost = costs[i]?.get(name)
        return {
          value: Math.min(cost ?? 0, end),
          itemStyle: { color: colourOf(report, name), borderRadius: [0, 2, 2, 0] },
          label: {
            show: true,
            position: "right",
            distance: 5,
            color: cost === undefined ? ink.quiet : ink.text,
            fontSize: 11,
            fontWeight: name === ours ? "bold" : "normal",
            formatter: cost === undefined ? "–" : cost > end ? `» ${number(cost)}` : number(cost)
          }
        }
      })
    }))
  }
  return [option, top + Math.ceil(results.length / columns) * panelHeight]
}

const short = (point: number): string => {
  if (point < 1024) return String(point)
  return point < 1024 ** 2 ? `${point / 1024} Ki` : `${point / 1024 ** 2} Mi`
}

const lines = (report: Report, points: ReadonlyArray<Result>): readonly [EChartsCoreOption, number] => {
  const names = report.peers.map(({ name }) => name)
  const found = [...new Set(points.flatMap(({ at }) => at?.curve ?? []))]
  const plotHeight = 220
  const panelHeight = plotHeight + 70
  const places = found.map((_, i) => place(i, panelHeight))
  const axis = (i: number) => ({
    gridIndex: i,
    axisLine: { lineStyle: { color: ink.line } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: ink.line } },
    axisLabel: { color: ink.quiet, fontSize: 11 }
  })
  const option = {
    title: [
      titles(report, "Server CPU time, µs a request, as more is asked (lower is better)", " · logarithmic scales"),
      ...found.map((curve, i) => panelTitle(curve, places[i]?.left ?? 0, places[i]?.top ?? 0))
    ],
    legend: {
      bottom: 8,
      itemWidth: 18,
      itemGap: 32,
      icon: "roundRect",
      itemHeight: 4,
      textStyle: { color: ink.text, fontSize: 12 },
      data: names.map((name) => titleOf(report, name))
    },
    grid: places.map((at) => ({
      left: at.left + 36,
      top: at.top + 24,
      width: panelWidth - 60,
      height: plotHeight
    })),
    xAxis: found.map((curve, i) => ({
      ...axis(i),
      type: "category",
      axisLabel: { color: ink.quiet, fontSize: 11, interval: 0 },
      data: points.filter(({ at }) => at?.curve === curve).map(({ at }) => short(at?.point ?? 0))
    })),
    yAxis: found.map((_, i) => ({ ...axis(i), type: "log", logBase: 2 })),
    series: found.flatMap((curve, i) =>
      names.map((name) => ({
        type: "line",
        name: titleOf(report, name),
        xAxisIndex: i,
        yAxisIndex: i,
        symbol: "circle",
        symbolSize: 5,
        lineStyle: { width: name === ours ? 3 : 1.5 },
        color: colourOf(report, name),
        data: points
          .filter(({ at }) => at?.curve === curve)
          .map(({ outcomes }) => outcomes.get(name)?.cpu?.median ?? null)
      }))
    )
  }
  return [option, top + Math.ceil(found.length / columns) * panelHeight + 36]
}

/** On a dark page it is dark, and either way it stands on paper of its own. */
const withBothInks = (svg: string): string => {
  const rules = (Object.keys(ink) as ReadonlyArray<keyof typeof ink>).map(
    (name) => `[fill="${ink[name]}"]{fill:${darkInk[name]}}[stroke="${ink[name]}"]{stroke:${darkInk[name]}}`
  )
  const style = `<style>@media (prefers-color-scheme: dark){${rules.join("")}}</style>`
  return svg.replace(/^(<svg[^>]*>)/, `$1${style}`)
}

export const chartOf = (report: Report): string => {
  const points = report.results.filter(({ at }) => at !== undefined)
  const results = report.results.filter(({ at, outcomes }) => at === undefined && chiefOf(outcomes) !== "perConnection")
  const [option, height] = points.length > 0 ? lines(report, points) : bars(report, results)
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height })
  chart.setOption({ ...option, animation: false, backgroundColor: ink.paper, textStyle: { fontFamily: font } })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return withBothInks(svg)
}
