import type { OptionSpecs } from "./arguments.ts";
import type { Command, SharedOptions } from "./command.ts";

export const PROGRESS_MODES = ["auto", "plain", "json", "none"] as const;

export const OUTPUT_OPTIONS: OptionSpecs = {
  format: {
    value: "FORMAT",
    help: "table, text, json, jsonl, yaml, or a Go template such as '{{.name}}' (default table)",
  },
  quiet: { value: null, short: "q", help: "print names, digests or ids only" },
};

export const PROGRESS_OPTIONS: OptionSpecs = {
  progress: {
    value: "MODE",
    choices: PROGRESS_MODES,
    help: "auto (bars on a terminal), plain, json or none",
  },
};

export const REGISTRY_OPTIONS: OptionSpecs = {
  username: { value: "NAME", short: "u", help: "sign in as (STOWAGE_USERNAME)" },
  "password-stdin": { value: null, help: "read the password from standard input (STOWAGE_PASSWORD)" },
  authfile: { value: "FILE", help: "credentials as docker and podman keep them (REGISTRY_AUTH_FILE)" },
  "plain-http": {
    value: null,
    help: "http instead of https; localhost needs no asking, unless --insecure or --ca-cert is given",
  },
  insecure: { value: null, help: "https, but do not check the certificate" },
  "ca-cert": { value: "FILE", help: "trust this CA, too (PEM; SSL_CERT_FILE replaces all CAs)" },
  debug: { value: null, help: "print requests to standard error, without secrets" },
};

export const HELP_OPTION: OptionSpecs = {
  help: { value: null, short: "h", help: "print this text" },
};

export const SHARED: Readonly<Record<SharedOptions, OptionSpecs>> = {
  output: OUTPUT_OPTIONS,
  progress: PROGRESS_OPTIONS,
  registry: REGISTRY_OPTIONS,
};

/** Everything that a command understands; its own option wins where names or letters meet. */
export function optionsOf({ options = {}, shared }: Command): OptionSpecs {
  const all = { ...HELP_OPTION };
  for (const name of shared) Object.assign(all, SHARED[name]);
  const own = new Set(Object.values(options).map(({ short }) => short));
  for (const [name, spec] of Object.entries(all)) {
    const { short, ...rest } = spec;
    if (short !== undefined && own.has(short)) all[name] = rest;
  }
  return { ...all, ...options };
}
