"""`mpeace demo`: a page in the browser on which a person hears the difference, in files and from the microphone.

The sound of files goes through `enhance.io.denoise_file`, as in `mpeace denoise`, and that of the microphone through
`enhance.Stream`.
"""
