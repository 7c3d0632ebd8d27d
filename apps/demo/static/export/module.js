// `denoised`: a stream with a microphone, as a stream of the cleaned voice for calls and recordings, all in this page.
// Options: model, attenuation_limit (dB, null for none), mix (0 to 1), onProblem(error or text).
// Gives: stream, delay (seconds, without the device's), adjust({ attenuation_limit, mix }), close().
export async function denoised(stream, { onProblem = console.error, ...wanted } = {}) {
  let strength = { attenuation_limit: null, mix: 1, model: Object.keys(ENGINE.models)[0], ...wanted };
  if (!ENGINE.models[strength.model]) throw new Refused(`No model ${strength.model}: there are ${Object.keys(ENGINE.models).join(", ")}.`);
  const hooks = { strength: () => strength, given() {}, cleaned() {}, problem: onProblem, slow: onProblem };
  const place = await inBrowser({ ...ENGINE, base: new URL(ENGINE.base, import.meta.url).href }, hooks);
  let late = 0; // samples
  const microphone = await openMicrophone({ ...place, given: stream, onState: (state) => (late = state.late) });
  const close = () => (place.close(), microphone.close());
  await place.open(microphone).catch((error) => (close(), Promise.reject(error)));
  return {
    stream: microphone.cleaned,
    get delay() {
      return late / microphone.rate + place.delay / 1000;
    },
    adjust({ model, ...changes }) {
      strength = { ...strength, ...changes };
      place.adjust();
    },
    close,
  };
}
