"""The table of feeds: which parser serves which configured feed. Parsers are imported only when configured (DESIGN 9)."""

from __future__ import annotations

from node_agent.records import FeedParser
from node_agent.settings import Settings
from schema.elements import Feed


def feed_parsers(settings: Settings) -> dict[Feed, FeedParser]:
    """A parser for each feed the settings name."""
    return {feed: _parser(feed, settings) for feed in sorted({f.kind for f in settings.feeds}, key=lambda f: f.value)}


def _parser(feed: Feed, settings: Settings) -> FeedParser:
    default = settings.feed_default(feed)
    facilities = [default, *(code for code in settings.facility_codes if code != default)]
    if feed is Feed.BHYT_XML:
        from node_agent.feeds.bhyt_xml import BhytXmlFeed

        return BhytXmlFeed(facilities)
    from node_agent.feeds.fhir import FhirFeed

    return FhirFeed(facilities, settings.identifier_systems, settings.organizations)
