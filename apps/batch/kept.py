"""The table of what denoising keeps of each container, converts and leaves out: for --help and enhance/README.md."""

KEPT = """\
container         kept                                     converted or left out: a note says so
WAV RF64 W64      subtype, speakers, bext, iXML, markers,  over 4 GB WAV becomes RF64, BW64 too; MD5,
BW64              loops, LIST, ID3, before and behind the  levels, peaks and loudness of the old sound;
                  sound; times follow --sample-rate        MP3 and G.726 in WAV become PCM
AIFF CAF AU       subtype, chunks; speakers: AIFF, CAF     as WAV; AU and W64 cannot name speakers; Opus,
                                                           ALAC, IMA in CAF become PCM
FLAC              bits, speakers, comments, pictures,      gains; the header of a WAV inside, where it
                  cue sheet, other blocks, ID3 as comments is not true any more; joined files become one
OGG OPUS          codec, bitrate, comments, pictures;      gains; other speakers (2.1, 5.1(side)) are
                  mono, stereo, 3.0, quad, 5.0 to 7.1      called those of as many channels
                                                           joined files become one
MP3               bitrate and mode, ID3, APEv2, pictures   gains, encoder delay; joined files are read
                                                           to the end and become one
M4A M4B M4R MP4A  codec, bitrate, tags, cover, chapters,   FLAC becomes ALAC; Opus, MP3 become AAC;
AAC               trimming, faststart                      gains, encoder delay; joined files: the first
AAC in any        AAC-LC: the bitrate within 15 %, from    HE-AAC becomes AAC-LC of 64 kbit/s a channel
container         24 kbit/s a channel on (at 48 kHz)       or more; AAC-LC of less than 24 gets 24
MP4 M4V MOV QT    as M4A; picture and its code (hvc1),     data tracks other than time code
                  place, date, make, subtitles, languages
MKV MKA MK3D      codec, bitrate, picture, frame rate,     Vorbis, DTS, WMA, ADPCM, G.711 become Opus,
WEBM WEBA         subtitles, fonts, cover, chapters, tags  TrueHD becomes FLAC; statistics, gains
3GP 3G2 AVI DIVX  picture and tracks as they are; codec    other codecs become AAC (AVI, WMV, ASF: MP3,
TS MTS M2TS FLV   where FFmpeg can write it                MXF: PCM, OGV: Opus, MPG, MPEG, VOB: AC-3);
MXF WMV ASF OGV                                            the shape of pixels in WMV and ASF
MPG MPEG VOB
AMR WMA MP2 GSM   what a sound file can hold               become WAV, named NAME.SUFFIX.wav
and others
a wrong suffix    what the content is, if it is a sound    else what the name says: WebM named .wav
                  file (MP3 named .wav)                    becomes WAV
another kind of   fields with usual names, cover,          names and chunks that it has no place for;
file              chapters of FLAC, Ogg, Opus and MP3      cover and chapters of what FFmpeg reads
sound of a video  title, artist and the like, one track    cover, chapters, other tracks
into a file       (the first, or --track)
all               rate, channels, length, holes            a clock that drifts is followed; a damaged
                                                           part is refused, or left out with --salvage
"""
