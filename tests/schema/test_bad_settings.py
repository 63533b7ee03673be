"""A wrong setting is told in each language, with what would be right, and without its value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schema.bad_settings import faults, unreadable

SECRET = "mat-khau"


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(pattern="^[0-9]{5}$")]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    port: Annotated[int, Field(ge=0, le=65_535)] = 1
    role: Literal["source", "warehouse"] = "source"
    share: Annotated[float, Field(gt=0)] = 1
    lines: Annotated[tuple[Line, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        if self.port == 7:
            raise ValueError("không hợp", "does not fit")
        return self


def told(**values: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        Settings(**{"lines": [{"code": "01001"}], **values})
    return faults(caught.value, {*Settings.model_fields, *Line.model_fields})


@pytest.mark.parametrize(
    ("values", "vi", "en"),
    [
        (
            {"prot": SECRET},
            "prot: không có tên cấu hình này; có phải port?",
            "there is no such setting; do you mean port?",
        ),
        ({"xyzzy": 1}, "xyzzy: không có tên cấu hình này", "xyzzy: there is no such setting"),
        ({"port": SECRET}, "port: phải là số nguyên", "port: must be a whole number"),
        ({"port": 70_000}, "port: nhiều nhất là 65535", "port: must be at most 65535"),
        ({"port": 7}, "không hợp", "does not fit"),
        ({"share": 0}, "share: phải lớn hơn 0", "share: must be greater than 0"),
        ({"role": SECRET}, "role: phải là 'source' or 'warehouse'", "role: must be 'source' or 'warehouse'"),
        ({"lines": []}, "lines: cần ít nhất 1 mục", "lines: needs at least 1"),
        # Not "needs at least 1" as well: there is one.
        ({"lines": [{"code": SECRET}]}, "lines.0.code: không đúng dạng", "lines.0.code: does not have the form"),
        ({"lines": [{}]}, "lines.0.code: thiếu, phải có", "lines.0.code: is missing, and required"),
    ],
)
def test_a_wrong_key_is_named_with_its_rule_in_both_languages(values: dict[str, Any], vi: str, en: str) -> None:
    texts = told(**values)
    assert vi in texts[0]
    assert en in texts[1]
    assert ";" not in texts[0].replace("; có phải", "")
    assert SECRET not in "".join(texts)


def test_a_text_that_holds_bytes_of_the_file_is_not_repeated() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        SECRET.encode("utf-16").decode("utf-8")
    assert unreadable(caught.value) == "UnicodeDecodeError"
