"""The insurer's XML (QĐ 130/4750/3176 and the older 4210), table by table; the feed itself is
feeds/bhyt_xml.py.
"""
