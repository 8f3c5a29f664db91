"""yt-dlp: its commands, its output, its errors. No other folder knows them.

`fetch` runs yt-dlp, `command` builds the command, `output` reads the lines that it prints, `notes`
reads the files that it writes, `info` makes them public, `failures` translates its errors.
"""

from worker.ytdlp.fetch import Download, Run, download, extract
from worker.ytdlp.info import to_info
from worker.ytdlp.output import OnProgress

__all__ = ["Download", "OnProgress", "Run", "download", "extract", "to_info"]
