"""Converting decoded pictures into the form that the encoder takes, through FFmpeg's filters."""

from fractions import Fraction

from av import VideoFrame
from av.filter import Graph

from worker.pyav.encoders import Picture


class Shaper:
    """Crops to even sizes and changes the pixel format; leaves fitting pictures untouched.

    PyAV's own conversion is not used: it guesses a colour matrix and changes the brightness.
    """

    def __init__(self, picture: Picture) -> None:
        self._form = (picture.width, picture.height, picture.pix_fmt)
        self._time_base = picture.time_base
        self._graphs: dict[tuple[int, int, str], Graph] = {}

    def shaped(self, frame: VideoFrame) -> VideoFrame:
        """The picture in the encoder's form, at its own time."""
        form = (frame.width, frame.height, frame.format.name)
        if form == self._form:
            return frame
        if form not in self._graphs:  # the size may change inside a stream
            self._graphs[form] = self._graph(frame)
        graph = self._graphs[form]
        graph.push(frame)
        shaped = graph.pull()
        assert isinstance(shaped, VideoFrame)
        shaped.pts, shaped.time_base = frame.pts, self._time_base
        return shaped

    def _graph(self, frame: VideoFrame) -> Graph:
        width, height, pix_fmt = self._form
        graph = Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(self._time_base),
        )
        close = abs(frame.width - width) <= 1 and abs(frame.height - height) <= 1
        fit = (
            graph.add("crop", f"{width}:{height}:0:0:exact=1")
            if close
            else graph.add("scale", f"{width}:{height}")
        )
        graph.link_nodes(source, fit, graph.add("format", pix_fmt), graph.add("buffersink"))
        graph.configure()
        return graph
