"""Files of other simulators, made up: no such part exists."""

from __future__ import annotations

import json
from typing import Any

Spec = dict[str, dict[str, Any]]

GDDR6: Spec = {
    "memarchitecturespec": {
        "burstLength": 16, "dataRate": 8, "nbrOfBankGroups": 4, "nbrOfBanks": 16, "nbrOfColumns": 1024, "nbrOfRanks": 1,
        "nbrOfRows": 16384, "width": 16, "nbrOfDevices": 1, "nbrOfChannels": 2, "per2BankOffset": 8,
    },
    "memtimingspec": {
        "RP": 26, "RAS": 55, "RC": 82, "RCDRD": 27, "RCDWR": 17, "RTP": 4, "RRDS": 8, "RRDL": 9, "CCDS": 2, "CCDL": 4,
        "RL": 25, "WCK2CKPIN": 0, "WCK2CK": 0, "WCK2DQO": 0, "RTW": 22, "WL": 7, "WCK2DQI": 0, "WR": 28, "WTRS": 10,
        "WTRL": 11, "PD": 1, "CKESR": 5, "XP": 12, "REFI": 3333, "REFIpb": 208, "RFCab": 210, "RFCpb": 105, "RREFD": 14,
        "XS": 216, "FAW": 30, "PPD": 2, "LK": 3, "ACTPDE": 1, "PREPDE": 1, "REFPDE": 1, "RTRS": 0, "tCK": 0.6e-9,
    },
}  # fmt: skip

LPDDR5: Spec = {
    "memarchitecturespec": {
        "burstLength": 16, "dataRate": 8, "nbrOfBankGroups": 4, "nbrOfBanks": 16, "nbrOfColumns": 1024, "nbrOfRanks": 1,
        "nbrOfRows": 32768, "width": 16, "nbrOfDevices": 1, "nbrOfChannels": 1, "per2BankOffset": 8,
        "WCKalwaysOn": True,
    },
    "memtimingspec": {
        "REFI": 3125, "REFIpb": 195, "RFCab": 224, "RFCpb": 112, "RAS": 34, "RPab": 17, "RPpb": 15, "RCpb": 49,
        "RCab": 51, "PPD": 2, "RCD": 15, "FAW": 16, "RRD": 4, "RL": 18, "RBTP": 6, "WL": 9, "WR": 28, "RTRS": 1,
        "BL_n_min_16": 2, "BL_n_max_16": 4, "BL_n_L_16": 4, "BL_n_S_16": 2, "BL_n_min_32": 6, "BL_n_max_32": 8,
        "BL_n_L_32": 8, "BL_n_S_32": 6, "WTR_L": 10, "WTR_S": 5, "WCK2DQO": 2, "WCK2CK": 0, "pbR2act": 6,
        "pbR2pbR": 72, "tCK": 1.25e-9,
    },
}  # fmt: skip

HBM3: Spec = {
    "memarchitecturespec": {
        "burstLength": 8, "dataRate": 4, "nbrOfBankGroups": 4, "nbrOfBanks": 16, "nbrOfColumns": 32,
        "nbrOfPseudoChannels": 2, "nbrOfRows": 16384, "width": 32, "nbrOfDevices": 1, "nbrOfChannels": 16,
        "RAAIMT": 16, "RAAMMT": 96, "RAADEC": 16,
    },
    "memtimingspec": {
        "DQSCK": 1, "RC": 78, "RAS": 54, "RCDRD": 22, "RCDWR": 21, "RRDL": 4, "RRDS": 2, "FAW": 48, "RTP": 9, "RP": 24,
        "RL": 23, "WL": 7, "PL": 0, "WR": 25, "CCDL": 4, "CCDS": 2, "WTRL": 13, "WTRS": 9, "RTW": 30, "XP": 12,
        "CKE": 12, "XS": 430, "RFC": 420, "RFCPB": 310, "RREFD": 13, "REFI": 6230, "REFIPB": 389, "PPD": 2,
        "tCK": 0.625e-9,
    },
}  # fmt: skip

POWER = {"vdd": 1.3, "idd0": 0.11, "idd2n": 0.08, "idd3n": 0.1, "idd4r": 0.45, "idd4w": 0.4, "idd5B": 0.25,
         "idd2p": 0.04}  # fmt: skip

SPECS = {"GDDR6": GDDR6, "LPDDR5": LPDDR5, "HBM3": HBM3}


def memspec(kind: str, **changes: Any) -> str:
    """A memspec; changes: of a key by its name (None: it is not there), or a section of its own."""
    spec: Spec = {section: dict(keys) for section, keys in SPECS[kind].items()}
    whole: dict[str, Any] = {"memoryId": "made-up", "memoryType": kind, **spec}
    for name, value in changes.items():
        home = next((spec[section] for section in spec if name in spec[section]), whole)
        home[name] = value
        if value is None:
            del home[name]
    return json.dumps({"memspec": whole}, indent=2)


INI = """\
; a made-up memory
[dram_structure]
protocol = GDDR6
bankgroups = 4
banks_per_group = 4
rows = 8192
columns = 64
device_width = 16
BL = 16 ; words

[timing]
tCK = 0.55 (a clock)
CL = 25
CWL = 9
tRCDRD = 26
tRCDWR = 18
tRP = 25
tRAS = 56
tRFC = 222
tREFI = 3400
tRPRE = 1
tRRD_S = 8
tRRD_L = 9
tWTR_S = 7
tWTR_L = 9
tFAW = 30
tWR = 27
tCCD_S = 2
tCCD_L = 4
tXS = 232
tRTP_L = 4
tRTP_S = 3
tPPD = 2
tRFCb = 111
tREFIb = 212

[power]
VDD = 1.3
IDD0 = 70
IDD2P = 40
IDD2N = 55
IDD3N = 62
IDD4W = 220
IDD4R = 240
IDD5AB = 280

[system]
channels = 2
bus_width = 32
refresh_policy = RANK_LEVEL_STAGGERED
queue_structure = PER_BANK

[other]
epoch_period = 1000
"""
