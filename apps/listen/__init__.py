"""Blind listening tests in a browser: pairwise, ABX, MUSHRA (ITU-R BS.1534-3), the scales of ITU-T P.800, P.808, P.835.

A test is a folder of sounds and a small TOML file. The parts, in the order in which a test runs through them:

- `commands` has what `mpeace listen` does.
- `design/` reads the TOML file and the folder, plans the pages of each listener, and writes a first TOML file.
- `serving/` makes the sounds on them, says what a listener sees, takes the answers and keeps them (SQLite), by HTTP; it
  also says where a test leaves the standard.
- `static/` is the page: `player.js` switches between sounds to the sample, the rest draws and keeps the keyboard.
- `texts/` is what listeners read.
- `analysis/` screens the listeners and makes tables and a picture of the answers.

Why a small server of its own and not a Gradio app, which `mpeace demo` is: the page must switch between sounds to the
sample with the fades of the standard, enable only the scale of the sound that is heard, and know whether an answer is
stored before it goes on. All of that is JavaScript of our own in Gradio, too, and Gradio's session, which ends with the
tab, and its queue would stand between the answer and the disk. Starlette and uvicorn, which serve the page, come with
Gradio, so both need the same extra (`pip install '.[demo]'`).

Reference: Recommendation ITU-R BS.1534-3 (10/2015), "Method for the subjective assessment of intermediate quality level
of audio systems"; the sections that a rule comes from are named beside it.
"""
