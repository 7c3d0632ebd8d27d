// The microphone's blocks go to the server's stream one after the other, and what comes back is played.
const encode = (integers) => {
  const bytes = new Uint8Array(integers.buffer);
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return btoa(text);
};
const decode = (text) => Float32Array.from(new Int16Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer), (value) => value / 32768);
const BEHIND = 1; // seconds of sound that may wait for the server

// hooks: given(samples), cleaned(samples), problem(text), note(text), and strength() for what is chosen at the moment.
function onServer(hooks) {
  let waiting = []; // blocks that were not sent yet
  let sending = false;
  let number = 0;
  let trip = 0; // milliseconds to the server and back, smoothed
  let work = 0; // of them, in the network
  let microphone = null;
  let session = null;
  let sent = { samples: 0, begun: 0 }; // what the server works on
  let passing = false; // it is too slow: the sound is played as it comes

  function play(sound) {
    hooks.cleaned(sound);
    microphone.play(hooks.strength().muted ? sound.fill(0) : sound);
  }

  function pass() {
    if (!passing) {
      const takes = (performance.now() - sent.begun) / 1000 / (sent.samples / microphone.rate);
      hooks.note(`The server is too slow: it takes more than ${takes.toFixed(1)} s for a second of sound. The sound now passes as it comes; a smaller model, or fewer people at a time, may help.`);
      const { token } = session;
      server.live_close({ token }).catch(() => {});
    }
    passing = true;
    for (const block of waiting.splice(0)) play(Float32Array.from(block, (value) => value / 32768));
  }

  async function send() {
    if (sending || !session) return;
    sending = true;
    while (waiting.length && session) {
      const blocks = waiting.splice(0);
      const samples = new Int16Array(blocks.reduce((sum, block) => sum + block.length, 0));
      blocks.reduce((at, block) => (samples.set(block, at), at + block.length), 0);
      const begun = performance.now();
      sent = { samples: samples.length, begun };
      const answer = await server.live_block({ token: session.token, number: number++, samples: encode(samples) }).catch((error) => ({ problem: error.message }));
      if (!session || passing) break;
      if (answer.problem) {
        hooks.problem(answer.problem);
        break;
      }
      trip = smooth(trip, performance.now() - begun);
      work = smooth(work, answer.milliseconds);
      play(decode(answer.samples));
    }
    sending = false;
  }

  const wanted = ({ muted, ...rest }) => rest;
  return {
    seconds: 0.06, // of a block: six hops of the network
    margin: 0.04,
    here: false,
    get delay() {
      return session?.delay_ms ?? 0;
    },
    get work() {
      return `${trip.toFixed(0)} to the server and back, ${work.toFixed(1)} computing`;
    },
    onBlock(block) {
      hooks.given(block);
      waiting.push(toIntegers(block));
      const behind = waiting.reduce((sum, held) => sum + held.length, 0) / (microphone?.rate ?? Infinity);
      if (session && (passing || behind > BEHIND)) pass();
      else send();
    },
    async open(opened) {
      microphone = opened;
      const answer = await server.live_open({ sample_rate: opened.rate, block: opened.block, ...wanted(hooks.strength()) });
      if (answer.problem) throw new Refused(answer.problem);
      opened.forget(waiting.splice(0).reduce((sum, block) => sum + block.length, 0));
      session = answer;
    },
    adjust() {
      const { model, ...rest } = wanted(hooks.strength());
      if (session && !passing) server.live_adjust({ token: session.token, ...rest }).catch(() => {});
    },
    close() {
      const mine = session;
      session = null;
      if (mine && !passing) server.live_close({ token: mine.token }).catch(() => {});
    },
  };
}
