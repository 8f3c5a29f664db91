"""yt-dlp: how it is asked, what it says, what its endings mean. Nothing else knows its words.

`fetch` runs it, `command` builds what is run, `output` reads its lines while it runs, `notes` reads
what it wrote down, `info` makes that public, `failures` translates its errors.
"""

from worker.ytdlp.fetch import Download, Run, download, extract
from worker.ytdlp.info import to_info
from worker.ytdlp.output import OnProgress

__all__ = ["Download", "OnProgress", "Run", "download", "extract", "to_info"]
