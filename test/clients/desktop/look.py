"""Reads what programs show through the desktop's accessibility interface (AT-SPI), and
presses what they offer there. It reads one request in JSON a line, and answers each with
one line.

  {"do": "look", "from": "window"}    everything on the screen, as a list of elements, whose
                                      places count from the screen's or the window's corner
  {"do": "press", "id": 7, "action": "click"}  an action of an element of the last look
  {"do": "focus", "id": 7}
  {"do": "place", "id": 7, "at": 3}   where a character of an element's text is on the screen
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")
import gi  # noqa: E402

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

LIMIT = 20_000  # elements of one look
Atspi.set_timeout(3000, 3000)


def text_of(node):
    text = node.get_text_iface()
    return Atspi.Text.get_text(text, 0, min(Atspi.Text.get_character_count(text), 4000)) if text else ""


def actions_of(node):
    action = node.get_action_iface()
    if not action:
        return []
    return [Atspi.Action.get_action_name(action, i) for i in range(Atspi.Action.get_n_actions(action))]


def box_of(node, origin):
    component = node.get_component_iface()
    if not component:
        return [0, 0, 0, 0]
    box = component.get_extents(origin)
    return [box.x, box.y, box.width, box.height]


def describe(node, parent, origin):
    states = node.get_state_set()
    return {
        "parent": parent,
        "role": node.get_role_name(),
        "name": node.get_name() or "",
        "about": node.get_description() or "",
        "text": text_of(node),
        "actions": actions_of(node),
        "box": box_of(node, origin),
        "showing": states.contains(Atspi.StateType.SHOWING),
        "enabled": states.contains(Atspi.StateType.ENABLED),
        "checked": states.contains(Atspi.StateType.CHECKED),
        "focused": states.contains(Atspi.StateType.FOCUSED),
    }


def look(origin):
    """An element that goes away while we look is left out."""
    Atspi.get_desktop(0).clear_cache()
    elements, nodes = [], []
    waiting = [(Atspi.get_desktop(0), -1)]
    while waiting and len(nodes) < LIMIT:
        node, parent = waiting.pop()
        try:
            element = describe(node, parent, origin)
            children = [node.get_child_at_index(i) for i in range(node.get_child_count())]
        except GLib.Error:
            continue
        elements.append(element)
        nodes.append(node)
        waiting += [(c, len(nodes) - 1) for c in reversed(children) if c]
    return elements, nodes


def press(node, name):
    action = node.get_action_iface()
    for i in range(Atspi.Action.get_n_actions(action) if action else 0):
        if Atspi.Action.get_action_name(action, i) == name:
            return Atspi.Action.do_action(action, i)
    return False


def main():
    nodes = []
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        try:
            if request["do"] == "look":
                origin = Atspi.CoordType.WINDOW if request["from"] == "window" else Atspi.CoordType.SCREEN
                answer["elements"], nodes = look(origin)
            elif request["do"] == "press":
                answer["done"] = press(nodes[request["id"]], request["action"])
            elif request["do"] == "focus":
                component = nodes[request["id"]].get_component_iface()
                answer["done"] = bool(component and component.grab_focus())
            elif request["do"] == "place":
                text = nodes[request["id"]].get_text_iface()
                box = Atspi.Text.get_character_extents(text, request["at"], Atspi.CoordType.SCREEN)
                answer["place"] = [box.x, box.y, box.width, box.height]
            else:
                answer["error"] = "unknown request"
        except GLib.Error as e:
            answer["error"] = e.message
        print(json.dumps(answer), flush=True)


main()
