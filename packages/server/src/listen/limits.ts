import { UPLOAD_PACE, type UploadPace } from "../http/upload-pace.ts";

/** What a connection may take its time for. Seconds, and Bun counts them in steps of 4. */
export interface ListenLimits {
  /** From the first packet to the end of the first request's headers, TLS handshake included. */
  readonly headerSeconds: number;
  /** Between two requests, the headers of the second included. */
  readonly idleSeconds: number;
  /** Without progress of a request: the handler's work, or a client that does not read the answer. */
  readonly stallSeconds: number;
  readonly uploadPace: UploadPace;
}

/**
 * What Bun 1.4 does (measured): its idle timer starts with the connection and is not moved by bytes that arrive,
 * neither of headers nor of a body, so `headerSeconds` is a deadline and not a pause between two bytes.
 */
export const LISTEN_LIMITS: ListenLimits = {
  headerSeconds: 10,
  idleSeconds: 75,
  stallSeconds: 120,
  uploadPace: UPLOAD_PACE,
};
