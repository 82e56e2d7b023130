import { curlScript } from "@stowage/oci/api/curl";
import { apiMarkdown } from "@stowage/oci/api/markdown";
import { openApi, type OpenApiDocument } from "@stowage/oci/api/open-api";
import { postmanCollection } from "@stowage/oci/api/postman";
import { RECORDED_ANSWERS } from "@stowage/oci/api/recorded-answers";
import { API_ROUTES } from "@stowage/oci/api/routes";
import { templateData } from "@stowage/oci/api/template-data";
import { compileTemplate } from "../go-template/template.ts";
import { DESCRIPTOR_FUNCTIONS } from "./template-functions.ts";

export const SPEC_FORMATS = ["openapi", "postman", "markdown", "curl"] as const;

export type SpecFormat = (typeof SPEC_FORMATS)[number];

/** The API in one of its forms. */
export async function makeSpec(format: SpecFormat): Promise<string> {
  switch (format) {
    case "openapi":
      return toJson(openApi(await managementDocument()));
    case "postman":
      return toJson(postmanCollection());
    case "markdown":
      return apiMarkdown(RECORDED_ANSWERS);
    case "curl":
      return curlScript();
    default:
      return format satisfies never;
  }
}

/** A template of distribution's kind, rendered with the descriptor. @throws TemplateError */
export function renderTemplate(text: string, name: string): string {
  const template = compileTemplate(text, { name, functions: DESCRIPTOR_FUNCTIONS, missingKey: "error" });
  return template.render(templateData());
}

export interface ListedRoute {
  readonly api: "registry" | "management";
  readonly method: string;
  readonly path: string;
  /** Endpoint id of OCI Distribution, or of the extension; the operation of the management API. */
  readonly id: string;
  readonly description: string;
}

/** Every endpoint, of both APIs. */
export async function listRoutes(): Promise<readonly ListedRoute[]> {
  const own = API_ROUTES.map(
    ({ id, method, path, description }) => ({ api: "registry", method, path, id, description }) as const,
  );
  const { paths } = await managementDocument();
  const managed = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => {
      const { operationId, summary } = operation as {
        readonly operationId?: string;
        readonly summary?: string;
      };
      return {
        api: "management",
        method: method.toUpperCase(),
        path: path.replaceAll(/\{([a-z]+)\}/g, "<$1>"),
        id: operationId ?? "",
        description: summary ?? "",
      } as const;
    }),
  );
  return [...own, ...managed];
}

/** Loaded when it is needed: the routes of the management API come with their schemas. */
async function managementDocument(): Promise<OpenApiDocument> {
  const { describeApi } = await import("@stowage/server/http/api/api");
  return (await describeApi()) as OpenApiDocument;
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
