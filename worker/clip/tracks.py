"""Which of a source's streams a clip keeps: one rule for every mode and tool. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import NoSuchStream
from tasks.media import AudioFacts, MediaFacts, SubtitleFacts
from tasks.specs import Output
from worker.clip.containers import CONTAINERS, is_sound_alone

ALL = "all"
_OF_ONE_TRACK = frozenset({"gif", "mp3", "m4a"})  # players of these show one track


def kept_sounds(
    facts: MediaFacts, container: str, output: Output, *, copied: bool
) -> tuple[AudioFacts, ...]:
    """The tracks that were asked for, else all where the container may have several, else the
    default one.

    `copied`: only tracks whose packets the container takes; a copy encodes nothing. Raises
    NoSuchStream when no track is the one that was asked for.
    """
    tracks = asked_sounds(facts, output)
    if container in _OF_ONE_TRACK:
        main = facts.main_audio
        tracks = (main,) if main in tracks else tracks[:1]
    if not copied:
        return tracks
    return tuple(track for track in tracks if CONTAINERS[container].takes_audio(track.codec))


def asked_sounds(facts: MediaFacts, output: Output) -> tuple[AudioFacts, ...]:
    """The tracks that `output.audio_track` means. Raises NoSuchStream when there are none."""
    asked = output.audio_track
    if asked is None or asked == ALL:
        return facts.audio
    if isinstance(asked, int):
        found = facts.audio[asked : asked + 1]
    else:
        found = tuple(it for it in facts.audio if (it.language or "").lower() == asked.lower())
    if not found:
        there = ", ".join(
            f"{n} ({it.language or 'no language'})" for n, it in enumerate(facts.audio)
        )
        raise NoSuchStream(f"the source has no sound track {asked!r}; it has {there or 'no sound'}")
    return found


def kept_subtitles(facts: MediaFacts, container: str, output: Output) -> tuple[SubtitleFacts, ...]:
    """The texts, where the container may have some."""
    if output.subtitles != "keep" or CONTAINERS[container].subtitle_encoder is None:
        return ()
    return tuple(track for track in facts.subtitles if track.is_text)


def text_to_burn(facts: MediaFacts) -> SubtitleFacts:
    """The texts to draw into the pictures: the default track, else the first.

    Raises NoSuchStream when there are none.
    """
    texts = [track for track in facts.subtitles if track.is_text]
    if not texts:
        there = ", ".join(map(str, facts.subtitles)) or "no subtitles"
        raise NoSuchStream(f"the source has no text subtitles to draw; it has {there}")
    return next((track for track in texts if track.default), texts[0])


def lost_tracks(
    facts: MediaFacts, container: str, output: Output, sounds: Sequence[AudioFacts]
) -> list[str]:
    """A warning for each track that the clip does not have, though it should."""
    if is_sound_alone(container) or container == "gif":
        return [_undecodable(track) for track in facts.undecodable]
    lost = []
    if output.audio == "keep":
        lost += [_undecodable(track) for track in facts.undecodable]
        lost += [
            f"{container} does not take the {track.codec} sound"
            f"{f' ({track.language})' if track.language else ''}, which was left out"
            for track in asked_sounds(facts, output)
            if track not in sounds
        ]
    if output.subtitles == "keep":
        lost += [
            f"the {track} are pictures and were left out"
            for track in facts.subtitles
            if not track.is_text
        ]
    return lost


def _undecodable(track: str) -> str:
    return f"the {track} cannot be decoded here and was left out"
