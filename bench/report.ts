import type { Workload } from "./workloads/workload.ts";

/** What one workload gave, by name of the target; the first target is ours. */
export interface Row {
  readonly workload: Workload;
  readonly samples: ReadonlyMap<string, readonly number[]>;
}

/** A row as `--json` writes it. */
export interface RowSummary {
  readonly workload: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly samples: Readonly<Record<string, readonly number[]>>;
  readonly medians: Readonly<Record<string, number>>;
  /** How many times better we are, by name of the peer. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly goals: readonly { readonly peer: string; readonly wanted: number; readonly isReached: boolean }[];
}

export function summarise({ workload, samples }: Row, own: string): RowSummary {
  const medians: Record<string, number> = {};
  for (const [name, values] of samples) if (values.length > 0) medians[name] = median(values);
  const ours = medians[own];
  const ratios: Record<string, number> = {};
  for (const [name, theirs] of Object.entries(medians)) {
    if (name !== own && ours !== undefined) {
      ratios[name] = workload.better === "higher" ? ours / theirs : theirs / ours;
    }
  }
  const goals = Object.entries(workload.goals).flatMap(([peer, wanted]) => {
    const ratio = ratios[peer];
    return ratio === undefined ? [] : [{ peer, wanted, isReached: ratio >= wanted }];
  });
  return {
    workload: workload.name,
    unit: workload.unit,
    better: workload.better,
    samples: Object.fromEntries(samples),
    medians,
    ratios,
    goals,
  };
}

/** The table, in Markdown, so that it can be pasted. */
export function formatTable(rows: readonly RowSummary[], names: readonly string[]): string {
  const [own = "", ...peers] = names;
  const header = ["workload", "unit", own, ...peers.flatMap((peer) => [peer, "ratio"]), "target"];
  const lines = rows.map((row) => [
    row.workload,
    row.better === "lower" ? `${row.unit} (less is better)` : row.unit,
    formatNumber(row.medians[own]),
    ...peers.flatMap((peer) => [formatNumber(row.medians[peer]), formatRatio(row.ratios[peer])]),
    formatGoals(row),
  ]);
  const widths = header.map((title, at) =>
    Math.max(title.length, ...lines.map((line) => line[at]?.length ?? 0)),
  );
  const format = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return [format(header), format(widths.map((width) => "-".repeat(width))), ...lines.map(format)].join("\n");
}

function formatGoals({ goals }: RowSummary): string {
  return goals
    .map(({ peer, wanted, isReached }) => `${isReached ? "reached" : "MISSED"}: ${wanted}x ${peer}`)
    .join("; ");
}

export function formatNumber(value: number | undefined): string {
  if (value === undefined) return "-";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? "-" : `${ratio.toFixed(2)}x`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
