"""The rows of the flow family."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_ROOM = "phosphene.generative.flow"

SYSTEMS: tuple[System, ...] = (
    System(
        name="realnvp",
        family="flow",
        title="RealNVP: affine couplings",
        kind="model",
        events=("real",),
        context="optional",
        rows=(41, 42),
        paper="Dinh, Sohl-Dickstein and Bengio, 2017",
        target=f"{_ROOM}.realnvp:RealNVP",
    ),
    System(
        name="maf",
        family="flow",
        title="Masked autoregressive flow, affine or of splines",
        kind="model",
        events=("real", "image", "binary-image"),
        context="optional",
        rows=(41,),
        paper="Papamakarios, Pavlakou and Murray, 2017",
        target=f"{_ROOM}.maf:MAF",
    ),
    System(
        name="iaf",
        family="flow",
        title="Inverse autoregressive flow: parallel sampling",
        kind="model",
        events=("real", "image", "binary-image"),
        context="optional",
        rows=(41,),
        paper="Kingma et al., 2016",
        target=f"{_ROOM}.iaf:IAF",
    ),
    System(
        name="c-flow",
        family="flow",
        title="C-Flow: an image given another, by two flows side by side",
        kind="model",
        events=("image",),
        context="required",
        rows=(51,),
        paper="Pumarola, Popov, Moreno-Noguer and Ferrari, 2020",
        target=f"{_ROOM}.cflow:CFlow",
    ),
    System(
        name="planar-flow",
        family="flow",
        title="Planar flow: along one direction at a time",
        kind="model",
        events=("real",),
        context="optional",
        rows=(41, 43),
        paper="Rezende and Mohamed, 2015",
        target=f"{_ROOM}.planar:PlanarFlow",
    ),
    System(
        name="radial-flow",
        family="flow",
        title="Radial flow: about one point at a time",
        kind="model",
        events=("real",),
        context="optional",
        rows=(41, 43),
        paper="Rezende and Mohamed, 2015",
        target=f"{_ROOM}.radial:RadialFlow",
    ),
    System(
        name="sylvester-flow",
        family="flow",
        title="Sylvester flow: several planar layers at once",
        kind="model",
        events=("real",),
        context="optional",
        rows=(41, 43),
        paper="van den Berg, Hasenclever, Tomczak and Welling, 2018",
        target=f"{_ROOM}.sylvester:SylvesterFlow",
    ),
)
