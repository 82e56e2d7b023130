import { ClientError } from "../client-error.ts";

/** A layer is broken, or something that no layer is. */
export function badLayer(problem: string): ClientError {
  return new ClientError("invalid", `cannot read the layer: ${problem}`);
}
