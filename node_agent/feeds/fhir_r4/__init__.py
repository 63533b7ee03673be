"""The parts of the FHIR R4 feed: decode, bundle, index, reader and one mapping file a group of resources.
Entry: feeds/fhir.py.
"""
