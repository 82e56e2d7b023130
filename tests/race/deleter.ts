import { parseDigest } from "@stowage/oci/digest";
import { REPOSITORIES, TAGS, WILD } from "./content.ts";
import { blobPath, manifestPath, type Race } from "./race.ts";

const PAUSE_MS_MAX = 60;

/** Deletes a manifest, a tag, or in the wild repository a blob. */
export async function deleteSomething(race: Race): Promise<void> {
  const { random } = race;
  await Bun.sleep(random.below(PAUSE_MS_MAX));
  switch (random.below(4)) {
    case 0:
      await remove(race, "tag", manifestPath(random.pick([...REPOSITORIES, WILD]), random.pick(TAGS)));
      return;
    case 1: {
      const image = random.pick(race.content.images);
      const { digest } = random.pick([image.config, ...image.layers]);
      await remove(race, "blob", blobPath(WILD, digest));
      return;
    }
    default: {
      const present = [...race.present];
      if (present.length === 0) return;
      const path = random.pick(present);
      race.present.delete(path);
      const [repository = "", digest = ""] = path.split(" ");
      if (parseDigest(digest) === null) throw new Error(`"${path}" is no known manifest`);
      await race.endings.during(path, () => remove(race, "manifest", manifestPath(repository, digest)));
    }
  }
}

/** 404: somebody else was faster. 405: something still needs it, which is right too. */
async function remove({ wire, score }: Race, what: string, path: string): Promise<void> {
  const { status } = await wire.send("DELETE", path);
  if (status === 202) score.count(`deleted-${what}s`);
  else if (status === 405) score.count("still-needed");
  else if (status !== 404) score.violate("bad-answer", `DELETE ${path} gave ${status}`);
}
