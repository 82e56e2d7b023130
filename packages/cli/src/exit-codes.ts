/** What the command's exit code says to scripts. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Bytes are not what their digest or size says. */
  mismatch: 9,
} as const;
