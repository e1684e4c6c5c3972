"""Names often written without a capital: countries, peoples, languages, large cities, the calendar.

Of names of two words, the distinctive one.
"""

PLACE_NAMES = frozenset(
    """
afghanistan albania algeria angola argentina armenia australia austria azerbaijan bahamas bahrain
bangladesh barbados belarus belgium belize benin bhutan bolivia bosnia botswana brazil bulgaria
burundi cambodia cameroon canada chile china colombia congo croatia cuba cyprus czechia denmark
ecuador egypt england eritrea estonia ethiopia fiji finland france gabon gambia germany ghana
greece grenada guatemala guyana haiti honduras hungary iceland india indonesia iran iraq ireland
israel italy jamaica japan kazakhstan kenya korea kosovo kuwait laos latvia lebanon liberia libya
lithuania luxembourg macedonia madagascar malawi malaysia maldives mali malta mauritius mexico
moldova monaco mongolia montenegro morocco mozambique myanmar namibia nepal netherlands holland
nicaragua nigeria norway oman pakistan panama paraguay peru philippines poland portugal qatar
romania russia rwanda samoa scotland senegal serbia singapore slovakia slovenia somalia spain
sudan sweden switzerland syria taiwan tanzania thailand togo tonga tunisia uganda ukraine uruguay
uzbekistan venezuela vietnam wales yemen zambia zimbabwe africa asia europe america antarctica
scandinavia britain african american arab arabic argentinian asian australian austrian bengali
brazilian british bulgarian cantonese catalan chinese croatian czech danish dutch egyptian
english estonian european finnish french german greek hebrew hindi hungarian icelandic indian
indonesian iranian iraqi irish israeli italian japanese korean latin latvian lithuanian malay
malaysian mandarin mexican norwegian persian polish portuguese punjabi romanian russian scottish
serbian slovak spanish swahili swedish swiss tagalog tamil telugu thai tibetan turkish ukrainian
urdu vietnamese welsh alabama alaska arizona arkansas california colorado connecticut delaware
florida hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts
michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania
tennessee texas utah vermont virginia wisconsin wyoming ontario quebec alberta queensland bavaria
catalonia amsterdam ankara anaheim athens atlanta auckland austin baghdad baltimore bangalore
bangkok barcelona beijing beirut belfast belgrade berkeley berlin birmingham bogota boston
brighton brisbane bristol brussels bucharest budapest burbank cairo calgary cambridge caracas
cardiff casablanca charlotte chennai chicago cincinnati cleveland cologne columbus copenhagen
dallas damascus delhi denver detroit doha dubai dublin edinburgh fresno frankfurt geneva glasgow
hamburg hanoi havana helsinki honolulu houston hyderabad istanbul jakarta jerusalem johannesburg
kabul karachi kathmandu kiev kyiv kolkata kyoto lagos lahore leeds leicester lima lisbon
liverpool london lyon madrid manchester manila marseille medellin melbourne memphis miami milan
milwaukee minneapolis montreal moscow mumbai munich nairobi naples nashville newark newcastle
nottingham oakland orlando osaka oslo ottawa oxford paris perth philadelphia phoenix pittsburgh
plymouth portland prague pune raleigh riga rome rotterdam sacramento santiago seattle seoul
seville shanghai sheffield shenzhen sofia southampton stockholm stuttgart sydney tallinn tampa
tehran tokyo toronto tucson tulsa turin valencia vancouver venice vienna warsaw washington
wellington zagreb zurich
""".split()
)
# Without march and may, which are seldom names.
CALENDAR_NAMES = frozenset(
    (
        "monday tuesday wednesday thursday friday saturday sunday "
        "january february april june july august september october november december"
    ).split()
)
