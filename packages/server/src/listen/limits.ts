import { UPLOAD_PACE, type UploadPace } from "../http/upload-pace.ts";

/**
 * Seconds from the first packet to the end of the first request's headers, or of a TLS handshake. For headers this is
 * Bun's own and cannot be set (1.4: 10 s, which its timer of 4 s steps makes 12); bytes that arrive do not put it off.
 */
export const HEADER_SECONDS = 10;

/** What a connection may take its time for. */
export interface ListenLimits {
  /**
   * Seconds between two requests, the headers of the second included; without progress of an answer that the client
   * does not read; of a handler's work. Bytes that arrive do not put it off.
   */
  readonly idleSeconds: number;
  readonly uploadPace: UploadPace;
  /** Milliseconds between two counts of the connections of each address. */
  readonly censusMs: number;
}

export const LISTEN_LIMITS: ListenLimits = { idleSeconds: 120, uploadPace: UPLOAD_PACE, censusMs: 2_000 };
