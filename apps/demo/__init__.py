"""`mpeace demo`: a page in the browser on which a person hears the difference, in files and from the microphone.

The sound of files goes through `apps.job`, as in `mpeace denoise`, and that of the microphone through `enhance.Stream`.
"""
