"""The first tables of the store."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "store_0001"
down_revision = None
branch_labels = None
depends_on = None

_CURRENT: dict[str, Any] = {"sqlite_where": sa.text("current"), "postgresql_where": sa.text("current")}
_TYPES = {"": sa.Text, "int": sa.Integer, "bool": sa.Boolean}

# Columns of the contract's tables: text unless a type follows. Frozen here; tables.py may have moved on since.
_DETAIL = {
    "encounter": (
        "status class care_type_system care_type_code care_type_display care_type_as_sent eligibility_system "
        "eligibility_code eligibility_display eligibility_as_sent period_start period_end admitted_at "
        "record_number reason admission_reason admission_diagnosis discharge_diagnosis treatment advice "
        "outcome_system outcome_code outcome_display outcome_as_sent disposition_system disposition_code "
        "disposition_display disposition_as_sent referred_from referred_to brought_letter_number days:int "
        "weight_kg"
    ),
    "condition": (
        "code_system code_code code_display code_as_sent role clinical_status verification_status onset "
        "abatement recorded_date note"
    ),
    "observation": (
        "status code_system code_code code_display code_as_sent service_system service_code service_display "
        "service_as_sent value quantity_value quantity_comparator quantity_unit quantity_code "
        "value_code_system value_code_code value_code_display value_code_as_sent interpretation "
        "reference_range effective issued note"
    ),
    "procedure": (
        "status code_system code_code code_display code_as_sent international_code_system "
        "international_code_code international_code_display international_code_as_sent performed_start "
        "performed_end body_site_system body_site_code body_site_display body_site_as_sent quantity unit "
        "device anaesthesia note"
    ),
    "imaging_study": "status study_uid accession_number started description number_of_series:int number_of_instances:int",
    "medication_administration": (
        "status use drug code_system code_code code_display code_as_sent strength form dose instructions "
        "route_system route_code route_display route_as_sent quantity unit registration_number period_start "
        "period_end"
    ),
    "prescription": "number status use authored_on period_start period_end note",
    "allergy_intolerance": (
        "stated_none:bool code_system code_code code_display code_as_sent clinical_status verification_status "
        "type categories criticality onset recorded_date recorder_licence recorder_name note"
    ),
    "immunization": (
        "status vaccine_system vaccine_code vaccine_display vaccine_as_sent occurrence lot_number dose_number "
        "primary_source:bool note"
    ),
    "diagnostic_report": "status code_system code_code code_display code_as_sent effective issued conclusion",
    "document_reference": "type_system type_code type_display type_as_sent status date title content_type text",
    "referral": (
        "number file_number book_number status from_facility to_facility authored_on reason_system "
        "reason_code reason_display reason_as_sent diagnosis_text clinical_signs history results_summary "
        "treatment condition services drugs plan transport escort_licence escort_name"
    ),
    "appointment": (
        "number status start authored_on diagnosis_text eligibility_system eligibility_code "
        "eligibility_display eligibility_as_sent note"
    ),
    "insurance_plan_card": "number registered_facility period_start period_end benefit",
}
_CHILD = {
    "code": "system code display as_sent",
    "practitioner": "licence name",
    "observation_component": (
        "position:int code_system code_code code_display code_as_sent value quantity_value "
        "quantity_comparator quantity_unit quantity_code value_code_system value_code_code value_code_display "
        "value_code_as_sent"
    ),
    "imaging_series": (
        "position:int uid modality_system modality_code modality_display modality_as_sent body_site_system "
        "body_site_code body_site_display body_site_as_sent description number_of_instances:int"
    ),
    "prescription_item": (
        "position:int drug code_system code_code code_display code_as_sent strength form dose instructions "
        "route_system route_code route_display route_as_sent quantity unit registration_number"
    ),
    "document_section": "position:int title text",
}


def _columns(text: str) -> list[sa.Column[object]]:
    parts = [part.partition(":") for part in text.split()]
    return [sa.Column(name, _TYPES[kind](), nullable=True) for name, _, kind in parts]


def upgrade() -> None:
    """Forward only: there is no way back but a backup."""
    _fixed()
    for name, text in _DETAIL.items():
        op.create_table(
            name, sa.Column("pk", sa.Integer(), sa.ForeignKey("record.pk"), primary_key=True), *_columns(text)
        )
    for name, text in _CHILD.items():
        op.create_table(
            name,
            sa.Column("record", sa.Integer(), sa.ForeignKey("record.pk"), primary_key=True),
            sa.Column("role", sa.Text(), primary_key=True),
            sa.Column("ord", sa.Integer(), primary_key=True),
            *_columns(text),
        )


def _fixed() -> None:
    op.create_table(
        "cursor",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
    )
    op.create_table(
        "facility",
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
    )
    op.create_table(
        "feed",
        sa.Column("facility", sa.String(), primary_key=True),
        sa.Column("feed", sa.String(), primary_key=True),
        sa.Column("rhythm_seconds", sa.Integer(), nullable=False),
        sa.Column("last_received_at", sa.String(), nullable=True),
    )
    op.create_table(
        "patient",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("facility", sa.String(), nullable=False),
        sa.Column("local_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("birth_date", sa.String(), nullable=True),
        sa.Column("gender", sa.String(), nullable=True),
        sa.Column("doubts", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("inbox", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.UniqueConstraint("facility", "local_id"),
        sa.UniqueConstraint("ref"),
    )
    op.create_table(
        "unit",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("facility", sa.String(), nullable=False),
        sa.Column("unit_key", sa.String(), nullable=False),
        sa.Column("patient", sa.Integer(), sa.ForeignKey("patient.pk"), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("inbox", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tables", sa.String(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("facility", "unit_key", "version", "inbox", "position"),
    )
    op.create_index("unit_by_inbox", "unit", ["inbox"])
    op.create_table(
        "withdrawal",
        sa.Column("unit", sa.Integer(), sa.ForeignKey("unit.pk"), primary_key=True),
        sa.Column("source_key", sa.String(), primary_key=True),
        sa.Column("facility", sa.String(), nullable=False),
    )
    op.create_table(
        "change",
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("patient", sa.Integer(), sa.ForeignKey("patient.pk"), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
    )
    op.create_table(
        "failure",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("patient", sa.Integer(), sa.ForeignKey("patient.pk"), nullable=False),
        sa.Column("facility", sa.String(), nullable=False),
        sa.Column("inbox", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("unit_key", sa.String(), nullable=True),
    )
    op.create_index("ix_failure_inbox", "failure", ["inbox"])
    op.create_index("ix_failure_patient", "failure", ["patient"])
    op.create_table(
        "identifier",
        sa.Column("patient", sa.Integer(), sa.ForeignKey("patient.pk"), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("inbox", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
    )
    op.create_table(
        "record",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("patient", sa.Integer(), sa.ForeignKey("patient.pk"), nullable=False),
        sa.Column("facility", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("feed", sa.String(), nullable=False),
        sa.Column("unit", sa.Integer(), sa.ForeignKey("unit.pk"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("source_table", sa.String(), nullable=False),
        sa.Column("source_key", sa.String(), nullable=False),
        sa.Column("encounter_id", sa.String(), nullable=True),
        sa.Column("sort_time", sa.String(), nullable=False),
        sa.Column("received_at", sa.String(), nullable=False),
        sa.Column("not_resent", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("own_labels", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
    )
    op.create_index("record_by_encounter", "record", ["encounter_id", "kind", "seq", "id"], **_CURRENT)
    op.create_index("withdrawal_by_source", "withdrawal", ["facility", "source_key"])
    op.create_index("record_by_id", "record", ["id"], unique=True, **_CURRENT)
    op.create_index("record_by_kind", "record", ["patient", "kind", "sort_time", "facility", "id"], **_CURRENT)
    op.create_index("record_by_source", "record", ["facility", "source_key"])
    op.create_index("record_by_time", "record", ["patient", "sort_time", "facility", "id"], **_CURRENT)
    op.create_index("record_by_unit", "record", ["unit"])
    op.create_table(
        "link",
        sa.Column("record", sa.Integer(), sa.ForeignKey("record.pk"), primary_key=True),
        sa.Column("role", sa.String(), primary_key=True),
        sa.Column("ord", sa.Integer(), primary_key=True),
        sa.Column("target_id", sa.String(), nullable=False),
    )
    op.create_table(
        "search_code",
        sa.Column("record", sa.Integer(), sa.ForeignKey("record.pk"), primary_key=True),
        sa.Column("code", sa.String(), primary_key=True),
    )
