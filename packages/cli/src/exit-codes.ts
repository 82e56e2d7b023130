/** What the command's exit code says to scripts. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unauthenticated: 4,
  denied: 5,
  /** The state of the registry does not allow it. */
  conflict: 6,
  limited: 7,
  /** The registry is not reached. */
  network: 8,
  /** Bytes are not what their digest or size says. */
  mismatch: 9,
  /** Of many things that were asked for, some were done. */
  partial: 10,
  /** The registry failed. */
  server: 11,
  /** SIGINT. */
  interrupted: 130,
  /** Nobody reads standard output any more. */
  pipe: 141,
  /** SIGTERM. */
  terminated: 143,
} as const;
