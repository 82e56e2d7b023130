/** What goes from one participant to another in a sequence diagram. */
export type DiagramStep =
  | {
      readonly kind: "request";
      readonly to: Participant;
      readonly method: string;
      readonly path: string;
      readonly note?: string;
    }
  | { readonly kind: "answer"; readonly from: Participant; readonly status: number; readonly note?: string }
  | { readonly kind: "remark"; readonly text: string }
  /** Steps that happen under a condition, or again and again. */
  | { readonly kind: "opt" | "loop"; readonly when: string; readonly steps: readonly DiagramStep[] };

export type Participant = "registry" | "token";

/** A protocol, told as the requests of one client. Paths are real ones: tests look them up in the route table. */
export interface Diagram {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Servers besides the client. */
  readonly servers: readonly Participant[];
  readonly steps: readonly DiagramStep[];
}

const SERVERS: Readonly<Record<Participant, string>> = { registry: "Registry", token: "Token endpoint" };

const LAYER = "sha256:1f3a...";
const CONFIG = "sha256:2b9c...";
const IMAGE = "sha256:7d01...";

const ask = (method: string, path: string, note?: string): DiagramStep => ({
  kind: "request",
  to: "registry",
  method,
  path,
  ...(note === undefined ? {} : { note }),
});

const answer = (status: number, note?: string): DiagramStep => ({
  kind: "answer",
  from: "registry",
  status,
  ...(note === undefined ? {} : { note }),
});

const R = "/v2/demo/hello";
const SESSION = `${R}/blobs/uploads/9c1d...`;

export const DIAGRAMS: readonly Diagram[] = [
  {
    id: "pull",
    title: "Pull",
    description: "The tag is resolved once; what follows is by digest, so it cannot change in between.",
    servers: ["registry"],
    steps: [
      ask("HEAD", `${R}/manifests/v1`),
      answer(200, `Docker-Content-Digest ${IMAGE}`),
      ask("GET", `${R}/manifests/${IMAGE}`),
      answer(200, "index or image manifest"),
      {
        kind: "opt",
        when: "it is an index",
        steps: [
          { kind: "remark", text: "The client picks the entry of its platform" },
          ask("GET", `${R}/manifests/sha256:5e62...`),
          answer(200, "image manifest"),
        ],
      },
      ask("GET", `${R}/blobs/${CONFIG}`),
      answer(200, "config"),
      {
        kind: "loop",
        when: "each layer that the client does not have",
        steps: [
          ask("GET", `${R}/blobs/${LAYER}`),
          answer(200, "bytes"),
          {
            kind: "opt",
            when: "the connection broke off",
            steps: [ask("GET", `${R}/blobs/${LAYER}`, "Range bytes=1048576-"), answer(206, "the rest")],
          },
          { kind: "remark", text: "The client compares the digest" },
        ],
      },
    ],
  },
  {
    id: "push",
    title: "Push",
    description:
      "Blobs first, in any order and at the same time; the manifest last, because it needs all of them.",
    servers: ["registry"],
    steps: [
      {
        kind: "loop",
        when: "config and each layer",
        steps: [
          ask("HEAD", `${R}/blobs/${LAYER}`),
          {
            kind: "opt",
            when: "404, the repository does not have it",
            steps: [
              ask("POST", `${R}/blobs/uploads/`),
              answer(202, "Location of a session"),
              ask("PUT", `${SESSION}?digest=${LAYER}`, "all bytes"),
              answer(201, "durable, and kept for the manifest"),
            ],
          },
        ],
      },
      ask("PUT", `${R}/manifests/v1`),
      answer(201, `Docker-Content-Digest ${IMAGE}`),
    ],
  },
  {
    id: "mount",
    title: "Mount",
    description: "A blob that another repository has is not sent again. It takes pull there and push here.",
    servers: ["registry"],
    steps: [
      ask("POST", `/v2/demo/copy/blobs/uploads/?mount=${LAYER}&from=demo/hello`),
      {
        kind: "opt",
        when: "it is there, and the caller may pull it",
        steps: [answer(201, "the blob is in both repositories")],
      },
      {
        kind: "opt",
        when: "otherwise, never an error",
        steps: [
          answer(202, "Location of a session"),
          ask("PUT", `/v2/demo/copy/blobs/uploads/9c1d...?digest=${LAYER}`, "all bytes"),
          answer(201),
        ],
      },
    ],
  },
  {
    id: "chunked-upload",
    title: "Chunked upload, with resume",
    description:
      "What was acknowledged is safe. After a break the client asks how far it is, and goes on from there.",
    servers: ["registry"],
    steps: [
      ask("POST", `${R}/blobs/uploads/`),
      answer(202, "Location, Range 0-0"),
      ask("PATCH", SESSION, "Content-Range 0-999"),
      answer(202, "Range 0-999"),
      ask("PATCH", SESSION, "Content-Range 1000-1999"),
      { kind: "remark", text: "The connection breaks off in the middle" },
      ask("GET", SESSION),
      answer(204, "Range 0-1399, what arrived was kept"),
      {
        kind: "opt",
        when: "the client sends from elsewhere",
        steps: [
          ask("PATCH", SESSION, "Content-Range 1000-1999"),
          answer(416, "Location, Range 0-1399, nothing changed"),
        ],
      },
      ask("PATCH", SESSION, "Content-Range 1400-1999"),
      answer(202, "Range 0-1999"),
      ask("PUT", `${SESSION}?digest=${LAYER}`),
      answer(201, "the digest fits"),
    ],
  },
  {
    id: "token-login",
    title: "Token login",
    description: "The challenge says where a token comes from and what it must be good for.",
    servers: ["registry", "token"],
    steps: [
      ask("GET", "/v2/"),
      answer(401, "Bearer realm, service"),
      {
        kind: "request",
        to: "token",
        method: "GET",
        path: "/token?service=stowage&offline_token=true&client_id=docker",
        note: "Basic name and password",
      },
      { kind: "answer", from: "token", status: 200, note: "token, refresh_token" },
      ask("GET", "/v2/", "Bearer"),
      answer(200, "signed in"),
      ask("PUT", `${R}/manifests/v1`, "Bearer"),
      answer(401, "insufficient_scope, scope=repository:demo/hello:pull,push"),
      { kind: "request", to: "token", method: "POST", path: "/token", note: "refresh_token and the scope" },
      {
        kind: "answer",
        from: "token",
        status: 200,
        note: "a token for the scope, or for what is allowed of it",
      },
      ask("PUT", `${R}/manifests/v1`, "Bearer"),
      answer(201),
    ],
  },
];

/** A diagram in the language of Mermaid. */
export function mermaid({ servers, steps }: Diagram): string {
  const participants = servers.map((server) => `  participant ${server} as ${SERVERS[server]}`);
  return ["sequenceDiagram", "  participant client as Client", ...participants, ...linesOf(steps, "  ")].join(
    "\n",
  );
}

function linesOf(steps: readonly DiagramStep[], indent: string): readonly string[] {
  return steps.flatMap((step) => stepLines(step).map((line) => indent + line));
}

function stepLines(step: DiagramStep): readonly string[] {
  switch (step.kind) {
    case "request":
      return [`client->>${step.to}: ${label(`${step.method} ${step.path}`, step.note)}`];
    case "answer":
      return [`${step.from}-->>client: ${label(String(step.status), step.note)}`];
    case "remark":
      return [`Note over client: ${step.text}`];
    case "opt":
    case "loop":
      return [`${step.kind} ${step.when}`, ...linesOf(step.steps, "  "), "end"];
    default:
      return step satisfies never;
  }
}

/** Mermaid ends a message at a semicolon or a hash; the data has neither, and a test holds that. */
const label = (text: string, note: string | undefined): string =>
  note === undefined ? text : `${text} (${note})`;
