"""Menus: what an author writes, and the engine that walks somebody through it. Pure: no traffic, no clock, nothing kept."""

from fernamt.menus.definition import KINDS, MenuDefinition, MenuLimits, MenuMistakes
from fernamt.menus.engine import BuiltMenu
from fernamt.menus.heard import words_of
from fernamt.menus.loading import read_menu
from fernamt.menus.node import Leave, Node, Stay, Visit
from fernamt.menus.nodes import (
    AnswerNode,
    AskNode,
    BranchNode,
    Case,
    ConsentNode,
    HangUpNode,
    HoursNode,
    LanguageNode,
    LookupNode,
    MenuNode,
    Option,
    SayNode,
    SubMenuNode,
    SurveyNode,
    SurveyQuestion,
)
from fernamt.menus.people import CallbackNode, QueueNode, RouteNode, TextbackNode, TransferNode, VoicemailNode
from fernamt.menus.questions import OrderQuestion, OrderStatus, Place, PlaceQuestion
from fernamt.menus.variables import Condition, Variable
from fernamt.menus.wording import Audio, Wording

__all__ = (
    "KINDS",
    "AnswerNode",
    "AskNode",
    "Audio",
    "BranchNode",
    "BuiltMenu",
    "CallbackNode",
    "Case",
    "Condition",
    "ConsentNode",
    "HangUpNode",
    "HoursNode",
    "LanguageNode",
    "Leave",
    "LookupNode",
    "MenuDefinition",
    "MenuLimits",
    "MenuMistakes",
    "MenuNode",
    "Node",
    "Option",
    "OrderQuestion",
    "OrderStatus",
    "Place",
    "PlaceQuestion",
    "QueueNode",
    "RouteNode",
    "SayNode",
    "Stay",
    "SubMenuNode",
    "SurveyNode",
    "SurveyQuestion",
    "TextbackNode",
    "TransferNode",
    "Variable",
    "Visit",
    "VoicemailNode",
    "Wording",
    "read_menu",
    "words_of",
)
