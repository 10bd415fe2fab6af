/** The value that a part of the values, from 0 to 1, does not exceed; 0 when there are none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** To three digits behind the point. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
