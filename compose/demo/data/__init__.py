"""Generated data of the demo city: three bhyt_xml hospitals and two FHIR ones. All people are invented."""

from __future__ import annotations

from compose.demo.data.city import City, build_city, write_city
from compose.demo.data.damaged import damaged_files

__all__ = ["City", "build_city", "damaged_files", "write_city"]
