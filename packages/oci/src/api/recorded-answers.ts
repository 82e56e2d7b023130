import answers from "./recorded-answers.json";

/** What the example of a request was really answered; ids, tokens, keys and times in it are replaced. */
export interface RecordedAnswer {
  readonly status: number;
  /** Reason phrase. */
  readonly text: string;
  readonly headers: readonly (readonly string[])[];
  readonly body: string;
}

/** By the id of the request. `npm run docs:api` writes them. */
export const RECORDED_ANSWERS: Readonly<Record<string, RecordedAnswer>> = answers;
