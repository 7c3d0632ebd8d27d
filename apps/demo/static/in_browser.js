// The network runs in a worker of this page: nothing that the microphone hears leaves the machine.
class CannotKeepUp extends Error {
  slow = null; // model that is too slow here; another one may be fast enough. Without one, none would do
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

// engine: `base`, the address of its files, and `models`, by their names; hooks as of `onServer`.
// Throws CannotKeepUp when the browser is too slow or cannot load it.
async function inBrowser({ base, models }, hooks) {
  const address = new URL(base, document.baseURI);
  const name = hooks.strength().model;
  let share = 0; // of real time
  let worker = null;

  function close() {
    worker?.terminate();
    worker = null;
  }
  const slow = (found) => Object.assign(new CannotKeepUp(`computing takes ${percent(found)} of real time here`), { slow: name });
  try {
    worker = new Worker(new URL("worker.js", address), { type: "module" });
    share = await new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new CannotKeepUp(event.message || "its files could not be loaded"));
      worker.onmessage = ({ data }) => (data.ready === undefined ? reject(data.slow ? slow(data.slow) : new CannotKeepUp(data.problem)) : resolve(data.ready));
      worker.postMessage({ model: models[name] });
    });
  } catch (error) {
    close();
    throw error instanceof CannotKeepUp ? error : new CannotKeepUp(error.message);
  }
  worker.onmessage = ({ data }) => {
    if (data.problem) return hooks.problem(data.problem);
    if (data.slow) return hooks.slow(slow(data.slow));
    share = smooth(share, data.share);
    hooks.given(data.given);
    hooks.cleaned(data.cleaned);
  };
  const { sample_rate, hop, latency } = models[name];
  return {
    seconds: hop / sample_rate,
    margin: hop / sample_rate,
    here: true,
    delay: (1000 * latency) / sample_rate,
    get work() {
      return `${((1000 * share * hop) / sample_rate).toFixed(1)} computing, ${percent(share)} of real time`;
    },
    onBlock() {}, // before the worklet knows the worker
    async open(microphone) {
      if (microphone.rate !== sample_rate) throw new CannotKeepUp(`the browser gives sound at ${microphone.rate / 1000} kHz, the network takes ${sample_rate / 1000} kHz`);
      const { port1, port2 } = new MessageChannel();
      worker.postMessage({ strength: hooks.strength(), port: port2 }, [port2]);
      microphone.connect(port1);
    },
    adjust: () => worker?.postMessage({ strength: hooks.strength() }),
    close,
  };
}
