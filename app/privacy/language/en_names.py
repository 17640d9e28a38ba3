"""English: names people are given, and words that are none."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GIVEN = _words(
    """
    aaron abby abdul abigail abraham adam adele adrian agnes ahmed aidan aileen aisha alan albert alec
    alex alexa alexander alexandra alexis alfred ali alice alicia alison allan allen allison alma alvin
    amanda amber amelia amina amir amit amy ana anastasia andre andrea andreas andrew andy angel angela
    angelina angie anil anita ann anna anne annette annie anthony antonio april archie ariana arjun
    arnold arthur ashley audrey austin ava barbara barry beatrice becky bella ben benjamin bernadette
    bernard bernice beth bethany betty beverly bianca bill billy blake bob bobby bonnie brad bradley
    brandon brenda brendan brian bridget brittany bruce bruno bryan caitlin callum calvin cameron camila
    carl carla carlos carmen carol carole caroline carolyn carrie casey catherine cathy cecilia celia
    chad charles charlie charlotte chelsea cheryl chloe chris christian christina christine christopher
    cindy claire clara clare clarence claudia clayton clifford clive colin colleen connie connor
    constance corey courtney craig crystal curtis cynthia daisy dale damian dan dana daniel daniela
    danielle danny darlene darren dave david dawn dean debbie deborah debra declan deepak denise dennis
    derek diana diane diego dmitri dolores dominic don donald donna doris dorothy doug douglas duncan
    dylan earl eddie edgar edith edna eduardo edward edwin eileen elaine eleanor elena eli elias elijah
    elizabeth ella ellen ellie elliot elsie emily emma eric erica erin ernest esther ethan eugene eva
    evan evelyn faith fatima felicia felix fernando fiona flora florence frances francesca francis
    francisco frank franklin fred freddie frederick freya gabriel gabriela gail gareth gary gavin gemma
    gene geoff geoffrey george georgia georgina gerald geraldine gerard gilbert gillian gina giovanni
    gladys glen glenn gloria gordon grace graham grant greg gregory gwen hannah hans harold harriet
    harry harvey hassan hazel heather hector heidi helen helena henry herbert herman hilary holly hope
    howard hugh hugo humphrey ian ibrahim ida imran ingrid irene iris isaac isabel isabella isla ivan
    ivy jack jackie jackson jacob jacqueline jade jaime jake james jamie jan jane janet janice jared
    jasmine jason javier jay jean jeff jeffrey jenna jennifer jenny jeremy jerome jerry jesse jessica
    jesus jill jim jimmy jo joan joanna joanne joe joel johan johanna john johnny jon jonathan jordan
    jorge jose joseph josephine josh joshua joy joyce juan juanita judith judy julia julian julie june
    justin kai karen karim karl kate katherine kathleen kathryn kathy katie katrina kay kayla keith
    kelly ken kenneth kenny kerry kevin kieran kim kimberly kirsty kofi krishna kristen kristin kumar
    kurt kyle lance larry laura lauren laurence laurie lawrence layla leah lee lena leo leon leonard
    leroy leslie lewis liam lidia lillian lily linda lindsay lindsey lisa liz lloyd logan lois lola
    loretta lori lorraine louis louise lucas lucia lucy luis luke lydia lynn mabel maddie madison maggie
    malcolm mandy manuel marc marcel marcia marco marcus margaret margarita maria mariam marian marie
    marilyn mario marion marjorie mark marlene marsha martha martin marvin mary matilda matt matthew
    maureen maurice max maxine may megan mehmet mei melanie melissa melvin mercedes meredith mia michael
    michelle miguel mike mildred miles milton miranda miriam mitchell mohammad mohammed moira molly mona
    monica monique morgan muhammad myra nadia nancy naomi natalie natasha nathan neil nelson neville
    niamh nicholas nick nicola nicole nigel nina noah noel nora norma norman olga oliver olivia omar
    oscar owen paige pamela pat patricia patrick paul paula pauline pearl pedro peggy penelope penny
    percy peter phil philip phillip phoebe phyllis piotr poppy priya priyanka rachel rafael rahul raj
    rajesh ralph ramon randy raul ravi ray raymond rebecca reginald rene renee rhonda ricardo richard
    rick ricky rita rob robert roberta roberto robin rodney roger roland ron ronald ronnie rosa rosalind
    rose rosemary rosie ross roy ruben ruby rupert russell ruth ryan sabrina sally salma sam samantha
    samir samuel sandra sanjay sara sarah saskia scott sean sebastian selina sergio seth shane shannon
    sharon shaun shawn sheila shelley sherry shirley sidney silvia simon siobhan sofia sonia sophia
    sophie stacey stan stanley stella stephanie stephen steve steven stewart stuart sue sunil susan
    susanna suzanne sven sylvia tamara tammy tanya tara ted teresa terence terry tessa theodore theresa
    thomas tiffany tim timothy tina tobias toby todd tom tommy toni tony tracy travis trevor tristan
    tyler ursula valerie vanessa vera vernon veronica vicky victor victoria vijay vincent viola violet
    virginia vivian vladimir wade wallace walter wanda warren wayne wendy wesley wilfred abdullah
    adriana agata agnieszka akash akira alejandra alejandro aleksandra alessandro alina amara ananya
    andrzej anil anjali anton arash arnav astrid aya ayesha ayse bartosz bjorn bogdan boris camille
    carlo cemal chiara chidi chinedu chioma claudio cristina dariusz deniz dieter dimitri dorota elif
    elodie emeka emilia emre enrique ewa fabio farah federico femi feng franz friedrich giulia giuseppe
    gregor guillermo gunther hana hao haruto heike heinrich henrik hiroshi hussein ignacio ikram ines
    ingo isha ismail ivana jakub javed jerzy jiho jiri joao jun jurgen kamal kamil katarzyna katja kavya
    kenji khalid klaus lakshmi lars leila lorenzo luca luigi magda mahmoud maki malik manoj marek
    mariana mario marta mateo matteo mei meera mihai milan min minh miroslav moritz mustafa nadine
    naveen neha nikhil nikolai nils nisha noor oksana olaf oleg oluwaseun omari pablo paolo pavel petra
    pierre pooja qing radek ramesh rania rashid rashida reza rohan rohit roman sakura salim sana sergei
    shreya simone sina stefan stefanie suresh svetlana tadeusz tamar tariq tasha tatiana thiago thuy
    tomasz tuan tyrone ulrich umar uwe vadim vikram vlad wei wolfgang xin yan yara yuki yuri zeynep
    zofia marlon terrell jamal darnell deshawn latoya keisha imani malia keanu kiana odette ottilie
    tabitha tallulah will william willie winifred xavier yasmin yolanda yusuf yvette yvonne zachary
    zainab zara zoe
    """
)
COMMON = _words(
    """
    will mark may april june grace hope faith joy rose bill art grant frank jack pat sue rob drew chase
    max miles dean christian angel amber crystal dawn daisy holly ivy lily pearl ruby violet poppy penny
    charity summer autumn earl duke king prince young brown white black green gray long short small
    little good best rich price page park hill wood stone field rivers brooks banks bond cook baker
    carter mason miller smith taylor turner fisher hunter knight bishop day night weeks love power
    strong sharp swift wise moody case chance carol gene ray jay kay lee drew guy ford bush fox wolf
    bird lamb bell ball cross church ward hall house street lane way west east north south winter snow
    frost rain storm sky star sun moon sea lake bay sand gold silver steel iron cash check mo so do an
    in no you van de la le el may's can china georgia paris london chelsea jordan india dale glen reed
    major victor trinity blessing precious jesus noel sandy rusty buddy sonny sunny junior robin buck
    nick al de hardy fields singer
    """
)
NOT_NAMES = _words(
    """
    a about above account actually after again ago all almost already also always am an and another any
    anybody anyone anything are aren't around as ask asked asking at away back bad be because been
    before being best better between both broken but by bye call called caller calling calls came can
    can't cannot card change come comes coming correct could couldn't course customer date delivery did
    didn't do does doesn't doing don't done down each either else email enough even ever every everyone
    everything exactly few fine first for forget from get gets getting give given go goes going gone
    good goodbye got great had hadn't happened has hasn't have haven't having he he'd he'll he's hear
    hello help her here here's hers hey hi him his hold home how how's i i'd i'll i'm i've if in
    incorrect instead into is isn't it it'd it'll it's its just keep kind know last late later least
    leave left less let let's like line little long look looking lot made make makes many maybe me mean
    might mine minute misspelled missing moment more morning most much must my myself name names nearly
    need needs never new next nice no nobody none nope nor not nothing now number o'clock obviously of
    off often oh ok okay old on once one only onto or order other others ought our ours out outside over
    own parcel perhaps phone please possible probably problem put question quite rather ready really
    reason regarding right said same saw say saying says second see seem seems seen send sent several
    shall she she'd she'll she's should shouldn't since so some somebody someone something sometimes
    soon sorry speak speaking spell spelled spelling spelt still stop such sure take taken talk talking
    tell than thank thanks that that's the their theirs them then there there's these they they'd
    they'll they're they've thing things think this those though thought through till time to today
    together told tomorrow too took toward tried try trying turn two uh um under until up upon us use
    used using very wait waiting want wanted wants was wasn't way we we'd we'll we're we've well went
    were weren't what what's whatever when where where's whether which while who who's whole whom whose
    why will with within without won't wondering word work working would wouldn't wrong yeah yep yes
    yesterday yet you you'd you'll you're you've your yours yourself zero written pronounced changed
    different listed hard difficult escaped unknown private mr mrs ms miss mister sir madam there's
    none-of hmm hm er erm ah eh mm mhm huh wow lovely alright absolutely certainly definitely indeed
    welcome afternoon evening night everybody guys team folks man mate dear love
    """
) - {"will", "love", "long"}
AFTER_HINTS = _words(
    """
    afraid alone angry annoyed at available aware bored busy careful certain cold confused curious dead
    disappointed driving eating excited furious glad guessing happy hoping hungry interested lost
    married moving okay outside paying pleased positive reading retired ridiculous sad satisfied selling
    sick single sitting stuck super supposed surprised terrible tired traveling travelling typing unable
    unhappy unsure upset urgent important regarding terrible unacceptable expired damaged closed open
    empty red blue cheap expensive free full half ten three four five six seven eight nine eleven twelve
    twenty thirty forty fifty sixty seventy eighty ninety hundred monday tuesday wednesday thursday
    friday saturday sunday january february march july august september october november december
    """
)
