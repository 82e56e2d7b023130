import { deleteSomething } from "./deleter.ts";
import { pullSomething } from "./puller.ts";
import { pushSomething } from "./pusher.ts";
import type { Race } from "./race.ts";

/** How many of each there are. */
export interface Crowd {
  readonly pushers: number;
  readonly deleters: number;
  readonly pullers: number;
}

/** Everybody at once until the race is over. */
export async function runCrowd(race: Race, { pushers, deleters, pullers }: Crowd): Promise<void> {
  await Promise.all([
    runClients(race, pushers, () => pushSomething(race)),
    runClients(race, deleters, () => deleteSomething(race)),
    runClients(race, pullers, () => pullSomething(race)),
  ]);
}

/** Runs `count` clients, each of which does `once` again and again until the race is over. */
async function runClients(race: Race, count: number, once: () => Promise<void>): Promise<void> {
  const client = async () => {
    while (!race.isOver()) await once();
  };
  await Promise.all(Array.from({ length: count }, client));
}
