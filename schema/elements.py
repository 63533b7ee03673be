"""The small parts records are made of: Code, Period, Quantity, Practitioner, Facility and the enums they share."""

from __future__ import annotations

from enum import Enum

import strawberry

from schema.scalars import Decimal, PartialDate


@strawberry.enum(description="Loại bản ghi. A kind of clinical record.")
class RecordKind(Enum):
    """One value a kind; the order is the order in which equal times print nowhere: sorting never uses it."""

    __hash__ = object.__hash__  # a member is one object; Enum hashes its name, a hundred times a query

    ENCOUNTER = "ENCOUNTER"
    CONDITION = "CONDITION"
    OBSERVATION = "OBSERVATION"
    PROCEDURE = "PROCEDURE"
    IMAGING_STUDY = "IMAGING_STUDY"
    MEDICATION_ADMINISTRATION = "MEDICATION_ADMINISTRATION"
    PRESCRIPTION = "PRESCRIPTION"
    ALLERGY_INTOLERANCE = "ALLERGY_INTOLERANCE"
    IMMUNIZATION = "IMMUNIZATION"
    DIAGNOSTIC_REPORT = "DIAGNOSTIC_REPORT"
    DOCUMENT_REFERENCE = "DOCUMENT_REFERENCE"
    REFERRAL = "REFERRAL"
    APPOINTMENT = "APPOINTMENT"
    INSURANCE_PLAN_CARD = "INSURANCE_PLAN_CARD"


@strawberry.enum(description="Nguồn vào của hồ sơ tại nút. One way records enter a node.")
class Feed(Enum):
    """The feeds of DESIGN 2."""

    BHYT_XML = "BHYT_XML"
    FHIR = "FHIR"
    HL7V2 = "HL7V2"
    DICOMWEB = "DICOMWEB"
    SQL_VIEWS = "SQL_VIEWS"
    EPRESCRIPTION = "EPRESCRIPTION"
    EMR = "EMR"


@strawberry.enum(description="Giới tính hành chính. Administrative gender, as in FHIR R4.")
class Gender(Enum):
    """FHIR administrative-gender."""

    MALE = "MALE"
    FEMALE = "FEMALE"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(description="Trạng thái lượt khám. Encounter.status of FHIR R4, in capitals.")
class EncounterStatus(Enum):
    """FHIR encounter-status, the part that patients' histories need."""

    PLANNED = "PLANNED"
    IN_PROGRESS = "IN_PROGRESS"
    FINISHED = "FINISHED"
    CANCELLED = "CANCELLED"
    ENTERED_IN_ERROR = "ENTERED_IN_ERROR"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(description="Loại lượt khám. The class of an encounter, after HL7 v3 ActCode.")
class EncounterClass(Enum):
    """AMB, IMP, EMER, HH, VR … of v3-ActCode in plain words."""

    AMBULATORY = "AMBULATORY"
    INPATIENT = "INPATIENT"
    DAY = "DAY"
    EMERGENCY = "EMERGENCY"
    HOME = "HOME"
    VIRTUAL = "VIRTUAL"
    SCREENING = "SCREENING"
    PHARMACY = "PHARMACY"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(
    description="Thuốc dùng ở đâu: mang về, dùng tại viện, không rõ. Never says whether the patient takes it now."
)
class MedicationUse(Enum):
    """Where a drug line was meant to be used; UNKNOWN where the source cannot decide. Never 'current'."""

    TAKE_HOME = "TAKE_HOME"
    IN_FACILITY = "IN_FACILITY"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(description="Vai trò của chẩn đoán. The role a diagnosis has in its encounter.")
class DiagnosisRole(Enum):
    """MAIN (MA_BENH_CHINH), COMORBID (MA_BENH_KT), TRADITIONAL (MA_BENH_YHCT); PROBLEM for a FHIR Condition without a role."""

    MAIN = "MAIN"
    COMORBID = "COMORBID"
    TRADITIONAL = "TRADITIONAL"
    ADMISSION = "ADMISSION"
    PROBLEM = "PROBLEM"


@strawberry.type(description="Cơ sở khám chữa bệnh. A hospital, clinic or ward station.")
class Facility:
    """code is the five-character MA_CSKCB."""

    code: str
    name: str


@strawberry.type(
    description="Một mã: hệ mã, mã chuẩn hoá, tên, và mã đúng như đã gửi. A code as understood and as sent."
)
class Code:
    """system is a URI; code the normalised code; as_sent the characters the source used."""

    system: str | None
    code: str | None
    display: str | None
    as_sent: str | None


@strawberry.type(
    description="Chẩn đoán của một lượt khám. A diagnosis of an encounter; the whole record is a Condition."
)
class Diagnosis:
    """A view of the Condition records of an encounter, flattened for reading."""

    id: strawberry.ID
    role: DiagnosisRole | None
    system: str | None
    code: str | None
    display: str | None
    as_sent: str | None


@strawberry.type(description="Khoảng thời gian. A period with partial dates.")
class Period:
    """FHIR Period."""

    start: PartialDate | None
    end: PartialDate | None


@strawberry.type(description="Một lượng đo được. A measured amount.")
class Quantity:
    """FHIR Quantity; value keeps the digits as sent, comparator is one of < <= >= >."""

    value: Decimal | None
    comparator: str | None
    unit: str | None
    code: str | None


@strawberry.type(description="Người hành nghề. A practitioner.")
class Practitioner:
    """licence is the practising licence number (CCHN/GPHN), or the number the source uses."""

    licence: str | None
    name: str | None
