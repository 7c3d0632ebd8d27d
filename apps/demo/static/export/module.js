// `denoised`: a stream with a microphone, as a stream of the cleaned voice for calls and recordings, all in this page.
// Options: model, attenuation_limit (dB, null for none), mix (0 to 1), onProblem(error or text).
// Gives: stream, delay (seconds, without the device's), adjust({ attenuation_limit, mix }), close().
export async function denoised(stream, { onProblem = console.error, ...wanted } = {}) {
  let strength = { attenuation_limit: null, mix: 1, model: Object.keys(ENGINE.models)[0], ...checked(wanted, ["model", ...CHANGED]) };
  if (!ENGINE.models[strength.model]) throw new Refused(`No model ${strength.model}: there are ${Object.keys(ENGINE.models).join(", ")}.`);
  if (!stream.getAudioTracks().length) throw new Refused("This stream has no sound.");
  const hooks = { strength: () => strength, given() {}, cleaned() {}, problem: onProblem, slow: onProblem };
  const place = await inBrowser({ ...ENGINE, base: new URL(ENGINE.base, import.meta.url).href }, hooks);
  let late = 0; // samples
  let microphone = null;
  const close = () => (place.close(), microphone?.close());
  try {
    microphone = await openMicrophone({ ...place, given: stream, onState: (state) => (late = state.late) });
    await place.open(microphone);
  } catch (error) {
    close();
    throw error;
  }
  return {
    stream: microphone.cleaned,
    get delay() {
      return late / microphone.rate + place.delay / 1000;
    },
    adjust(changes) {
      strength = { ...strength, ...checked(changes, CHANGED) };
      place.adjust();
    },
    close,
  };
}

const CHANGED = ["attenuation_limit", "mix"]; // while it runs

// What is given of these options; one that is undefined is left out.
function checked(given, known) {
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown) throw new Refused(`No option ${unknown} here: there are ${known.join(", ")}.`);
  const { attenuation_limit: limit = null, mix = 1 } = options;
  if (limit !== null && !(typeof limit === "number" && limit >= 0)) throw new Refused(`attenuation_limit ${limit}: expected dB from 0, or null for no limit.`);
  if (!(typeof mix === "number" && mix >= 0 && mix <= 1)) throw new Refused(`mix ${mix}: expected a number from 0 to 1.`);
  return options;
}
