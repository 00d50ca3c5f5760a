"""What the keys of other simulators' files are here, or why they are nothing.

Sources: the fields of DRAMUtils (`memspec/standards`), which DRAMSys 5 and DRAMPower 5 read, and DRAMSim3's
`configuration.cc`.  Times are clocks of tCK in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pimsim.config.imports.files import INI, MEMSPEC

# A time of a standard: what a memspec and an INI file call it; the first that is there counts.
TIMES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tRCDRD_ns": (("RCDRD", "RCD", "RCD_L"), ("tRCDRD", "tRCD")),
    "tRCDWR_ns": (("RCDWR", "RCD", "RCD_L"), ("tRCDWR", "tRCD")),
    "tRP_ns": (("RP", "RPpb"), ("tRP",)),
    "tRAS_ns": (("RAS",), ("tRAS",)),
    "tRC_ns": (("RC", "RCpb"), ()),
    "tCCDS_ns": (("CCDS", "CCD_S", "BL_n_min_{BL}"), ("tCCD_S",)),
    "tCCDL_ns": (("CCDL", "CCD_L", "BL_n_max_{BL}"), ("tCCD_L",)),
    "tRRDS_ns": (("RRDS", "RRD_S", "RRD"), ("tRRD_S",)),
    "tRRDL_ns": (("RRDL", "RRD_L", "RRD"), ("tRRD_L",)),
    "tRRD_ns": (("RRD", "RRDS", "RRD_S"), ("tRRD_S",)),
    "tFAW_ns": (("FAW",), ("tFAW",)),
    "tRTP_ns": (("RTP", "RBTP"), ("tRTP", "tRTP_L")),
    "tWR_ns": (("WR",), ("tWR",)),
    "tWTRS_ns": (("WTRS", "WTR_S", "WTR"), ("tWTR_S",)),
    "tWTRL_ns": (("WTRL", "WTR_L", "WTR"), ("tWTR_L",)),
    "tCL_ns": (("RL", "CL"), ("CL",)),
    "tCWL_ns": (("WL", "CWL"), ("CWL",)),
    "tRFC_ns": (("RFC", "RFCab", "RFC1"), ("tRFC",)),
    "tREFI_ns": (("REFI",), ("tREFI",)),
    "tRFCpb_ns": (("RFCpb", "RFCPB", "RFCSB"), ("tRFCb",)),
    "tRREFD_ns": (("RREFD",), ()),
    "tPPD_ns": (("PPD",), ("tPPD",)),
    "tRPab_ns": (("RPab",), ()),
    "tpbR2act_ns": (("pbR2act",), ()),
    "tpbR2pbR_ns": (("pbR2pbR",), ()),
    "tWCKDQO_ns": (("WCK2DQO",), ()),
}

# Within one bank group DRAMSim3 takes the short times, also where a file has the long ones.
SHORT: Mapping[str, str] = {"tCCDL_ns": "tCCD_S", "tRRDL_ns": "tRRD_S", "tWTRL_ns": "tWTR_S"}

CURRENTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "VDD_V": (("vdd",), ("VDD",)),
    "IDD0_mA": (("idd0",), ("IDD0",)),
    "IDD2N_mA": (("idd2n",), ("IDD2N",)),
    "IDD3N_mA": (("idd3n",), ("IDD3N",)),
    "IDD4R_mA": (("idd4r",), ("IDD4R",)),
    "IDD4W_mA": (("idd4w",), ("IDD4W",)),
    "IDD5B_mA": (("idd5B", "idd5b", "idd5"), ("IDD5AB",)),
}

# Bits of a pin in a clock, as DRAMSim3 has a burst of BL take BL over this many clocks.
BITS_PER_CLOCK: Mapping[str, int] = {"GDDR5": 4, "GDDR5X": 8, "GDDR6": 16}
OTHER_BITS_PER_CLOCK = 2
COLUMNS_OF_BURSTS = ("GDDR5", "GDDR5X", "GDDR6")  # a column there is a burst; of HBM two words, else one
COLUMNS_OF_PAIRS = ("HBM", "HBM2")

_POWER_DOWN = "power-down and self-refresh are not simulated"
_RANK = "a channel has one rank here"
_EDGE = "where data lies against its clock is no distance of commands here"
_FINE = "a refresh in finer steps is not simulated"
_RFM = "refresh management is not simulated"
_CONTROLLER = "the controller's, not the memory's; see the options of `pimsim traffic`"
_SAID = "other keys say it"
_SUPPLY = "dram.power has one supply"
_IDLE = "power-down and self-refresh have no current here"

# Why a key is nothing here, by name; a section by name and a dot.
DROPPED: Mapping[str, Mapping[str, str]] = {
    MEMSPEC: {
        **dict.fromkeys(
            ("CKE", "CKESR", "PD", "XP", "XPN", "XS", "XSR", "SR", "LK", "ACTPDE", "PREPDE", "REFPDE", "ACTPDEN",
             "PRPDEN", "REFPDEN", "ESCKE", "CMDCKE", "XPDLL", "XSDLL"),
            _POWER_DOWN,
        ),
        **dict.fromkeys(("RTRS", "CCDR", "nbrOfStacks", "nbrOfDIMMRanks", "nbrOfPhysicalRanks", "nbrOfLogicalRanks",
                         "nbrOfRanks"), _RANK),
        **dict.fromkeys(("DQSCK", "DQSS", "DQS2DQ", "RPRE", "WPRE", "RPST", "WCK2CKPIN", "WCK2CK", "WCK2DQI",
                         "WCK2DQO", "PL"), _EDGE),
        **dict.fromkeys(("REFM", "RFC2", "RFC4", "RefMode"), _FINE),
        **dict.fromkeys(("RAAIMT", "RAAMMT", "RAADEC"), _RFM),
        **dict.fromkeys(("CL", "CWL", "RCD", "RCD_L", "RC", "RFC1", "CCD", "WTR", "RRD"), _SAID),
        **dict.fromkeys(("REFIpb", "REFIPB", "REFISB"), "it follows from REFI and the number of banks"),
        "RCD_S": "no document says which activations have it; RCD_L is the longer one",
        "RTW": "it follows from RL, WL and the burst",
        "RCab": "RAS and RPab say it",
        "AL": "RL has it already",
        "CCDMW": "a write with a mask is a write here",
        "32AW": "a window over 32 activations is not simulated",
        **dict.fromkeys((f"BL_n_{kind}_{burst}" for kind in ("min", "max", "L", "S") for burst in (16, 32)),
                        "BL_n_min and BL_n_max of the file's burst length say it"),
        "maxBurstLength": "every column is a burst of burstLength",
        "per2BankOffset": "which banks are a pair is the standard's",
        "WCKalwaysOn": "WCK runs all the time here",
        "vddq": "dram.io.energy_pJ_per_bit says what the pins take",
        "mempowerspec.": "no current of dram.power",
        "memimpedancespec.": "dram.io.energy_pJ_per_bit says what the pins take",
        "bankwisespec.": "currents are of the whole device here",
        "prepostamble.": "dram.io.energy_pJ_per_bit says what the pins take",
        "dataratespec.": "dram.io.energy_pJ_per_bit says what the pins take",
        **dict.fromkeys(("idd2p", "idd3p", "idd6", "idd6n", "idd2p0", "idd2p1", "idd3p0", "idd3p1"), _IDLE),
        **dict.fromkeys(("vpp", "ipp0", "ipp2n", "ipp3n", "ipp4r", "ipp4w", "ipp6n", "ipp2p", "ipp3p", "ipp5B", "vdd1",
                         "vdd2", "vdd2h", "vdd2l"), _SUPPLY),
    },
    INI: {
        **dict.fromkeys(("tCKE", "tCKESR", "tCKSRE", "tXS", "tXP"), _POWER_DOWN),
        **dict.fromkeys(("tRPRE", "tWPRE"), _EDGE),
        **dict.fromkeys(("tRFC2", "tRFC4", "tWR2"), _FINE),
        "tRTRS": _RANK,
        "tREFIb": "it follows from tREFI and the number of banks",
        "tRTP_S": "tRTP_L is the longer one",
        "tRTP_L": "tRTP says it",
        "tRCD": "tRCDRD and tRCDWR say it",
        "tRC": "DRAMSim3 does not read it: tRAS + tRP",
        "t32AW": "a window over 32 activations is not simulated",
        "ideal_memory_latency": "the simulator's, not the memory's",
        **dict.fromkeys(("IDD2P", "IDD3P", "IDD6x"), _IDLE),
        "IDD5PB": "a refresh of one bank is charged its share of one of all banks",
        **dict.fromkeys(("IPP0", "VPP"), _SUPPLY),
        "num_dies": "dies do not differ here",
        "channel_size": f"rows, banks and pins say it; {_RANK}",
        "refresh_policy": "no policy of DRAMSim3",
        "bankgroup_enable": "bank groups are as they stand",
        "AL": "it is nothing",
        "hbm_dual_cmd": "how many command buses there are is the standard's",
        "system.": _CONTROLLER,
        "other.": "the simulator's output, not the memory",
        "thermal.": "temperature is not simulated",
        "hmc.": "not this kind of memory",
    },
}  # fmt: skip


def known(form: str) -> Iterator[str]:
    """Every name that is known of a form."""
    column = 0 if form == MEMSPEC else 1
    for table in (TIMES, CURRENTS):
        for names in table.values():
            yield from names[column]
    yield from (name for name in DROPPED[form] if not name.endswith("."))
