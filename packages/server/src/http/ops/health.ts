import type { Registry } from "../../registry/registry.ts";

export interface HealthOptions {
  readonly registry: Registry;
  /** Whether the server is shutting down and wants no new work. */
  readonly isDraining: () => boolean;
}

/**
 * `/livez`: the process answers. `/readyz`: it can also do its work, and it is not shutting down. Null for every
 * other path. Both are without authentication and say nothing that an outsider may not know.
 */
export async function answerHealth(
  path: string,
  { registry, isDraining }: HealthOptions,
): Promise<Response | null> {
  if (path === "/livez") return new Response("ok\n");
  if (path !== "/readyz") return null;
  if (isDraining()) return new Response("shutting down\n", { status: 503 });
  try {
    await registry.ping();
    return new Response("ok\n");
  } catch {
    return new Response("metadata store unavailable\n", { status: 503 });
  }
}
